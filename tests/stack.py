"""A running TaskFlow: its real processes, which can be killed, stopped and woken one by one."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from schemas.settings import Settings
from tests.waiting import eventually

READY_S_MAX = 60.0
STOP_S_MAX = 15.0


def free_port() -> int:
    """Give a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Child:
    """One process, started again whenever it ends, as a supervisor would."""

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    ready_url: str
    starts: int = 0
    exits: list[int] = field(default_factory=list)
    """The exit code of each run."""
    _process: asyncio.subprocess.Process | None = None
    _ending: bool = False

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def keep_alive(self) -> None:
        with self.log.open("ab") as log:
            while not self._ending:
                self._process = await asyncio.create_subprocess_exec(
                    *self.command,
                    env=dict(self.environment),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
                self.starts += 1
                code = await self._process.wait()
                self.exits.append(code)
                log.write(f"--- {self.name} ended with {code}\n".encode())
                log.flush()

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    async def is_ready(self) -> bool:
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                return (await client.get(self.ready_url, timeout=3)).status_code == 200
            except httpx.HTTPError:
                return False

    async def leads(self) -> bool:
        """Tell whether it is the relay that leads."""
        url = self.ready_url.replace("/health/ready", "/metrics")
        async with httpx.AsyncClient(trust_env=False) as client:
            return "\ntaskflow_relay_leader 1.0" in (await client.get(url, timeout=3)).text

    async def end(self) -> int:
        """Stop it for good with SIGTERM, and give its exit code; one that hangs is killed."""
        self._ending = True
        process = self._process
        if process is None or process.returncode is not None:
            return 0
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return await asyncio.wait_for(process.wait(), STOP_S_MAX)
        except TimeoutError:
            process.kill()
            raise


@dataclass
class Stack:
    """The processes by name; `api_url` and `ws_url` are where clients go."""

    settings: Settings
    logs: Path
    children: dict[str, Child] = field(default_factory=dict)
    api_port: int = field(default_factory=free_port)
    gateway_port: int = field(default_factory=free_port)

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    @property
    def ws_url(self) -> str:
        return f"ws://127.0.0.1:{self.gateway_port}/ws"

    def environment(self, **extra: object) -> dict[str, str]:
        secret = self.settings.jwt_secret
        assert secret is not None
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(Path.cwd()),
            "DATABASE_URL": self.settings.required_database_url(),
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.required_bootstrap_servers(),
            "KAFKA_TOPIC_PREFIX": self.settings.kafka_topic_prefix,
            "KAFKA_PARTITIONS": str(self.settings.kafka_partitions),
            "JWT_SECRET": secret.get_secret_value(),
            "DATA_DIR": str(self.logs),
            "API_PORT": str(self.api_port),
            "GATEWAY_PORT": str(self.gateway_port),
            **{name: str(value) for name, value in extra.items()},
        }

    def add(self, name: str) -> Child:
        """Add a process by its name in the Procfile, followed by a number if it is one of several.

        It is started with the others when the stack is opened.
        """
        kind = name.rstrip("0123456789-")
        health_port = {"api": self.api_port, "gateway": self.gateway_port}.get(kind, free_port())
        extra: dict[str, object] = {}
        if kind not in {"api", "gateway"}:
            extra["HEALTH_PORT"] = health_port
        if kind in {"audit", "recurrence", "reminders", "notifications", "webhooks"}:
            extra["CONSUMER_INSTANCE_ID"] = name
        child = Child(
            name=name,
            command=_COMMANDS[kind],
            environment=self.environment(**extra),
            log=self.logs / f"{name}.log",
            ready_url=f"http://127.0.0.1:{health_port}/health/ready",
        )
        self.children[name] = child
        return child

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Stack"]:
        """Start all processes, wait until each is ready, and end them with the context."""
        keepers = [asyncio.create_task(child.keep_alive()) for child in self.children.values()]
        try:
            for child in self.children.values():
                await eventually(child.is_ready, READY_S_MAX, f"{child.name} is ready")
            yield self
        finally:
            await asyncio.gather(*(child.end() for child in self.children.values()))
            await asyncio.gather(*keepers)


_COMMANDS = {
    "api": (sys.executable, "-m", "api"),
    "gateway": (sys.executable, "-m", "gateway"),
    "notifications": (
        *(sys.executable, "-m", "faust", "-A", "streams.notifications"),
        *("worker", "-l", "info"),
    ),
    "recurrence": (
        *(sys.executable, "-m", "faust", "-A", "streams.recurrence"),
        *("worker", "-l", "info"),
    ),
    "relay": (sys.executable, "-m", "streams.relay"),
    "audit": (sys.executable, "-m", "faust", "-A", "streams.audit", "worker", "-l", "info"),
    "reminders": (sys.executable, "-m", "faust", "-A", "streams.reminders", "worker", "-l", "info"),
    "webhooks": (sys.executable, "-m", "faust", "-A", "streams.webhooks", "worker", "-l", "info"),
}
