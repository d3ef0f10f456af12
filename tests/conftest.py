"""Fixtures that any test may ask for; nothing is started that no test of the run asks for."""

import shutil
from collections.abc import AsyncIterator, Iterator
from secrets import token_hex

import pytest

from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.store.database import Database, open_database
from streams.store.migrations import migrate_up
from streams.transport.interface import Transport
from streams.transport.opening import open_transport
from tests.servers import Servers

TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Give the run's two servers, and end them with it."""
    servers = Servers()
    yield servers
    servers.stop()
    shutil.rmtree(servers.directory, ignore_errors=True)


@pytest.fixture(scope="session")
async def template(servers: Servers) -> str:
    """Give a migrated database, to be copied."""
    async with open_database(servers.postgres.make_database(TEMPLATE)) as database:
        await migrate_up(database)
    return TEMPLATE


@pytest.fixture
def database_url(servers: Servers, template: str) -> str:
    """Give the address of a fresh, migrated database."""
    return servers.postgres.make_database(f"test_{token_hex(6)}", template)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Give a pool on a fresh, migrated database."""
    async with open_database(database_url) as database:
        yield database


@pytest.fixture
def settings(servers: Servers, database_url: str) -> Settings:
    """Give settings with a fresh database, and topics of a fresh prefix."""
    return Settings(
        _env_file=None,
        database_url=database_url,
        kafka_bootstrap_servers=servers.kafka.bootstrap_servers,
        kafka_topic_prefix=f"t-{token_hex(4)}.",
        kafka_partitions=4,
        jwt_secret=token_hex(32),
    )


@pytest.fixture
async def transport(settings: Settings) -> AsyncIterator[Transport]:
    """Give Kafka with all topics made."""
    async with open_transport(settings) as transport:
        await transport.create_topics(TOPICS)
        yield transport
