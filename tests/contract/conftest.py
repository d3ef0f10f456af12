"""The transports that must keep the contract: a third one is one more line of `KINDS`."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from secrets import token_hex

import pytest

from schemas.settings import Settings, TransportKind
from schemas.topics import Topic
from streams.transport.interface import Transport
from streams.transport.opening import open_transport
from tests.servers import Servers

KINDS = [TransportKind.MEMORY, TransportKind.KAFKA]
PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class World:
    """An open transport, and a topic of its own that takes messages of up to 64 KiB."""

    transport: Transport
    topic: str
    settings: Settings


@pytest.fixture(params=KINDS, ids=[kind.value for kind in KINDS])
def kind(request: pytest.FixtureRequest) -> TransportKind:
    """Give each transport in turn."""
    return TransportKind(request.param)


@pytest.fixture
async def world(kind: TransportKind, request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """Give an open transport with one topic."""
    brokers = None
    if kind is TransportKind.KAFKA:
        servers = request.getfixturevalue("servers")
        assert isinstance(servers, Servers)
        brokers = servers.kafka.bootstrap_servers
    settings = Settings(
        _env_file=None,
        transport=kind,
        kafka_bootstrap_servers=brokers,
        kafka_topic_prefix=f"c-{token_hex(4)}.",
        kafka_partitions=PARTITIONS,
    )
    topic = Topic("letters", timedelta(days=1), 65_536, "For the contract.")
    async with open_transport(settings) as transport:
        assert await transport.create_topics([topic]) == ["letters"]
        yield World(transport, topic.name, settings)
