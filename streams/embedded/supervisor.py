"""The supervisor: runs the processes of a Procfile and the servers below them until a signal."""

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import aiohttp
from honcho.environ import parse_procfile

from streams.embedded.failure import EmbeddedError
from streams.embedded.instance import Instance
from streams.embedded.ports import address, choose_port
from streams.embedded.supervised import Show, Supervised

READY_S_MAX = 60.0
HEALTH_PORT_FIRST = 8002
"""Workers and the relay get the ports from here on, where they are free."""
_LOOK_S = 0.2
_ANSWER_S_MAX = 3.0


class Restartable(Protocol):
    """A server that may have ended, and can be started again."""

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        ...

    def start(self) -> None:
        """Start it again."""
        ...


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run, and where each process says that it is ready."""

    processes: Sequence[Supervised]
    servers: Mapping[str, Restartable]
    ready_urls: Mapping[str, str]


def make_plan(instance: Instance, procfile: Path, show: Show) -> Plan:
    """Give each process of a Procfile its environment and its health port."""
    if not procfile.exists():
        raise EmbeddedError(f"There is no {procfile} here: run this in TaskFlow's own folder.")
    settings = instance.settings
    # `python` and `faust` are those beside the interpreter that runs this.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    base = {**os.environ, **instance.environment(), "PATH": path, "PYTHONUNBUFFERED": "1"}
    commands = parse_procfile(procfile.read_text()).processes
    places = {
        "api": (settings.api_host, settings.api_port),
        "gateway": (settings.gateway_host, settings.gateway_port),
    }
    for number, name in enumerate(name for name in commands if name not in places):
        places[name] = settings.health_host, choose_port(HEALTH_PORT_FIRST + number)
    processes = [
        Supervised(
            name=name,
            command=shlex.split(command),
            environment=base | {"HEALTH_PORT": str(places[name][1]), "CONSUMER_INSTANCE_ID": name},
            show=show,
        )
        for name, command in commands.items()
    ]
    return Plan(
        processes,
        instance.servers,
        {name: f"http://{address(*place)}/health/ready" for name, place in places.items()},
    )


@dataclass(slots=True)
class Supervisor:
    """Runs a plan; a signal ends everything in good order, a second Ctrl-C at once."""

    plan: Plan
    show: Show
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _running: list["asyncio.Task[None]"] = field(default_factory=list)

    async def run(self, when_ready: Callable[[], None]) -> None:
        """Run until SIGINT, SIGTERM or SIGHUP; call `when_ready` once every process is ready.

        Raises `EmbeddedError`, within an ExceptionGroup, if one is not ready in `READY_S_MAX`.
        """
        loop = asyncio.get_running_loop()
        # `make` passes SIGTERM on, so that a signal to the whole group comes twice.
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)
        async with asyncio.TaskGroup() as tasks:
            keeping = [self._keep(name, server) for name, server in self.plan.servers.items()]
            own = [process.run() for process in self.plan.processes]
            self._running = [tasks.create_task(work) for work in (*keeping, *own)]
            ready = tasks.create_task(self._wait_until_ready(when_ready))
            await self._stopping.wait()
            self._cancel()
            ready.cancel()

    def _interrupt(self) -> None:
        if self._stopping.is_set():
            self._cancel()
        self._stopping.set()

    def _cancel(self) -> None:
        for task in self._running:
            task.cancel()

    async def _keep(self, name: str, server: Restartable) -> None:
        """Start a server again when it has ended."""
        while True:
            await asyncio.sleep(_LOOK_S)
            if not server.is_alive:
                self.show(name, "ended; it starts again")
                try:
                    await asyncio.to_thread(server.start)
                except EmbeddedError as error:
                    self.show(name, str(error))

    async def _wait_until_ready(self, when_ready: Callable[[], None]) -> None:
        waiting = dict(self.plan.ready_urls)
        try:
            async with asyncio.timeout(READY_S_MAX), aiohttp.ClientSession() as session:
                while waiting:
                    for name, url in tuple(waiting.items()):
                        if await _is_ready(session, url):
                            del waiting[name]
                    await asyncio.sleep(_LOOK_S if waiting else 0)
        except TimeoutError as error:
            names = ", ".join(waiting)
            raise EmbeddedError(
                f"Not ready after {READY_S_MAX:.0f} s: {names}. What it wrote is above."
            ) from error
        when_ready()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with asyncio.timeout(_ANSWER_S_MAX), session.get(url) as answer:
            return answer.status == 200  # noqa: PLR2004 - OK
    except (aiohttp.ClientError, TimeoutError):
        return False
