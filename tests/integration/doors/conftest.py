"""One running TaskFlow for all tests of its doors: api, gateway, relay and one worker."""

from collections.abc import AsyncIterator
from pathlib import Path
from secrets import token_hex

import pytest

from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.transport.opening import open_transport
from tests.servers import Servers
from tests.stack import Stack


@pytest.fixture(scope="module")
async def doors(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    """Give the processes, all ready."""
    settings = Settings(
        _env_file=None,
        database_url=servers.postgres.make_database(f"doors_{token_hex(4)}", template),
        kafka_bootstrap_servers=servers.kafka.bootstrap_servers,
        kafka_topic_prefix=f"doors-{token_hex(4)}.",
        kafka_partitions=1,
        jwt_secret=token_hex(32),
    )
    async with open_transport(settings) as transport:
        await transport.create_topics(TOPICS)
    stack = Stack(settings, Path(tmp_path_factory.mktemp("doors")))
    for name in ("api", "gateway", "relay", "audit"):
        stack.add(name)
    async with stack.running():
        yield stack
