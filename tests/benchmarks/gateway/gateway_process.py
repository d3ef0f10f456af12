"""The gateway as a process of its own, and what it costs."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
from prometheus_client.parser import text_string_to_metric_families

from schemas.settings import Settings
from tests.stack import READY_S_MAX, Child, free_port
from tests.waiting import eventually

_MANY = "1000000"


@dataclass(slots=True)
class GatewayProcess:
    """`python -m gateway`, started again when it was killed."""

    child: Child
    port: int

    @property
    def rss_bytes(self) -> int:
        """What it holds in memory now."""
        return int(psutil.Process(self.child.pid).memory_info().rss)

    @property
    def cpu_s(self) -> float:
        """The processor's time that it has used."""
        times = psutil.Process(self.child.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def waited_s(self) -> float:
        """The time that it could have run in and had no processor: others' work, not its own."""
        _, waited_ns, _ = Path(f"/proc/{self.child.pid}/schedstat").read_text().split()
        return int(waited_ns) / 1e9

    async def metric(self, name: str, **labels: str) -> float:
        """Give the sum of a metric's samples that have these labels."""
        async with httpx.AsyncClient(trust_env=False) as client:
            text = (await client.get(f"http://127.0.0.1:{self.port}/metrics", timeout=30)).text
        families = text_string_to_metric_families(text)
        samples = [each for one in families for each in one.samples if each.name == name]
        return sum(each.value for each in samples if labels.items() <= each.labels.items())

    async def start_again(self) -> None:
        """Kill it, and wait until its successor is ready."""
        starts = self.child.starts
        self.child.kill()

        async def came_back() -> bool:
            return self.child.starts > starts and await self.child.is_ready()

        await eventually(came_back, READY_S_MAX, "the gateway is ready again")


@asynccontextmanager
async def open_gateway_process(settings: Settings, logs: Path) -> AsyncIterator[GatewayProcess]:
    """Run the gateway with limits that do not stand in a measurement's way."""
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path.cwd()),
        "KAFKA_BOOTSTRAP_SERVERS": settings.required_bootstrap_servers(),
        "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "JWT_SECRET": settings.required_jwt_secret(),
        "DATA_DIR": str(logs),
        "GATEWAY_PORT": str(port),
        "WEBSOCKETS_PER_USER": "1000",
        "WEBSOCKETS_PER_ADDRESS": _MANY,
    }
    child = Child(
        name="gateway",
        command=(sys.executable, "-m", "gateway"),
        environment=environment,
        log=logs / "gateway.log",
        ready_url=f"http://127.0.0.1:{port}/health/ready",
    )
    keeper = asyncio.create_task(child.keep_alive())
    try:
        await eventually(child.is_ready, READY_S_MAX, "the gateway is ready")
        yield GatewayProcess(child, port)
    finally:
        await child.end()
        await keeper
