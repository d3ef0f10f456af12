"""Fixtures of the gateway's measurements: a real Kafka, the gateway's process, and many clients."""

import resource
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from secrets import token_hex

import pytest

from schemas.settings import Settings
from schemas.topics import TASK_UPDATES
from streams.transport.interface import Transport
from streams.transport.opening import open_transport
from tests.benchmarks.gateway.crowd import Crowd, open_crowd
from tests.benchmarks.gateway.gateway_process import GatewayProcess, open_gateway_process
from tests.benchmarks.gateway.load import Load
from tests.servers import Servers

FILES = 12_000
"""What the largest run opens in one process, and some more."""


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """Let this process and its children open as many files as the measurements need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"a process may open {hard} files here; this needs {FILES}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, FILES), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def settings(servers: Servers) -> Settings:
    """Give settings with topics of a fresh prefix; the gateway needs no database."""
    return Settings(
        _env_file=None,
        kafka_bootstrap_servers=servers.kafka.bootstrap_servers,
        kafka_topic_prefix=f"t-{token_hex(4)}.",
        kafka_partitions=4,
        jwt_secret=token_hex(32),
    )


@pytest.fixture
async def transport(settings: Settings) -> AsyncIterator[Transport]:
    """Give Kafka with the gateway's topic made."""
    async with open_transport(settings) as transport:
        await transport.create_topics([TASK_UPDATES])
        yield transport


@pytest.fixture
def load(transport: Transport) -> Load:
    """Give a load of which nothing is published yet."""
    return Load(transport)


@pytest.fixture
async def gateway(
    settings: Settings, transport: Transport, tmp_path: Path
) -> AsyncIterator[GatewayProcess]:
    """Give the gateway's process, ready, which takes a topic that is made."""
    await transport.extents(TASK_UPDATES.name)
    async with open_gateway_process(settings, tmp_path) as process:
        yield process


@pytest.fixture
async def crowd(settings: Settings) -> AsyncIterator[Crowd]:
    """Give processes for clients, which have none yet."""
    async with open_crowd(settings.required_jwt_secret()) as crowd:
        yield crowd
