"""Publishing to a broker that sleeps: late, once more or refused, but never out of order."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import pytest

from schemas.settings import Settings
from schemas.topics import TASK_EVENTS, TOPICS
from streams.store.database import Database
from streams.transport.interface import (
    Message,
    Place,
    TransportClosedError,
    TransportUnavailableError,
)
from streams.transport.kafka import connection, publisher
from streams.transport.kafka.transport import KafkaTransport
from tests.integration.relay.outbox_world import Relay, check_versions, drained, log_of, write
from tests.servers import Servers
from tests.waiting import eventually

TOPIC = TASK_EVENTS.name


@contextmanager
def asleep(servers: Servers) -> Iterator[None]:
    """Stop the broker, and wake it with the context's end."""
    pid = servers.kafka.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture
async def kafka(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[KafkaTransport]:
    """Give a transport that waits a second for an answer, and two for a request's."""
    monkeypatch.setattr(publisher, "WAIT_S_MAX", 1.0)
    monkeypatch.setattr(connection, "REQUEST_S_MAX", 2.0)
    transport = KafkaTransport(settings)
    await transport.create_topics(TOPICS)
    yield transport
    await transport.aclose()


def letters(partition: int, *values: bytes) -> Sequence[Message]:
    return [Message(TOPIC, b"k", value, partition=partition) for value in values]


async def values_of(transport: KafkaTransport, partition: int) -> Sequence[bytes | None]:
    extent = (await transport.extents(TOPIC))[partition]
    found: list[bytes | None] = []
    async with transport.tail(TOPIC, {partition: extent.start}) as tail:
        while len(found) < extent.end - extent.start:
            found += [record.value for record in await tail.read(500, 5)]
    return found


async def publish(transport: KafkaTransport, messages: Sequence[Message]) -> bool:
    return all(isinstance(result, Place) for result in await transport.publish_many(messages))


async def test_what_had_no_answer_in_time_is_decided_before_anything_newer(
    kafka: KafkaTransport, servers: Servers
) -> None:
    """The broker sleeps for longer than a request may take: the same batch is sent anew, once."""
    assert await publish(kafka, letters(0, b"v0"))
    with asleep(servers):
        (unknown,) = await kafka.publish_many(letters(0, b"v1"))
        assert isinstance(unknown, TransportUnavailableError)
        began_at = monotonic()
        while monotonic() - began_at < 2:
            (still,) = await kafka.publish_many(letters(0, b"v1"))
            assert isinstance(still, TransportUnavailableError)

    async def taken() -> bool:
        return await publish(kafka, letters(0, b"v1", b"v2"))

    await eventually(taken, 20, "the broker takes messages again")
    assert await values_of(kafka, 0) == [b"v0", b"v1", b"v1", b"v2"]


async def test_a_producer_that_is_replaced_goes_on_with_what_it_has_undecided(
    kafka: KafkaTransport, servers: Servers
) -> None:
    """One partition's refusal neither loses another's batch nor blocks that partition for ever."""
    assert await publish(kafka, [*letters(0, b"v0"), *letters(1, b"w0")])
    with asleep(servers):
        results = await kafka.publish_many([*letters(0, b"v1"), *letters(1, b"w1")])
        assert all(isinstance(result, TransportUnavailableError) for result in results)
        # As if the broker had refused partition 0's batch, which it cannot while it sleeps.
        kafka._publisher._retire(kafka._publisher._producer)

    async def taken() -> bool:
        return await publish(kafka, [*letters(0, b"v2"), *letters(1, b"w2")])

    await eventually(taken, 20, "the broker takes messages again")
    assert await values_of(kafka, 0) == [b"v0", b"v1", b"v2"]
    assert await values_of(kafka, 1) == [b"w0", b"w1", b"w2"]
    assert not kafka._publisher._retired


async def test_closing_ends_a_publish_that_waits_for_its_broker(
    settings: Settings, servers: Servers, kafka: KafkaTransport
) -> None:
    """No producer is started, and nothing is sent, after the transport was closed."""
    assert await publish(kafka, letters(0, b"v0"))
    fresh = KafkaTransport(settings)
    await fresh.extents(TOPIC)
    with asleep(servers):
        sending = asyncio.create_task(fresh.publish(Message(TOPIC, b"k", b"late", partition=0)))
        await asyncio.wait({sending}, timeout=0.2)
        await asyncio.wait_for(fresh.aclose(), 4)
    with pytest.raises((TransportClosedError, TransportUnavailableError)):
        await sending
    assert await values_of(kafka, 0) == [b"v0"]


@pytest.mark.parametrize(
    "asleep_s",
    [pytest.param(3.0, id="short"), pytest.param(20.0, id="long", marks=pytest.mark.long)],
)
async def test_a_relay_whose_broker_sleeps_loses_and_reorders_nothing(
    kafka: KafkaTransport, servers: Servers, database: Database, asleep_s: float
) -> None:
    """A burst on one task goes on while the broker sleeps, and drains in order when it wakes."""
    async with Relay(database, kafka).running():
        version = 1
        await write(database, version)
        await drained(database)
        with asleep(servers):
            began_at = monotonic()
            while monotonic() - began_at < asleep_s:
                version += 1
                await write(database, version)
                await database.fetch("SELECT pg_sleep(0.05)")
        await drained(database, 40)
    found = await log_of(kafka)
    check_versions(found)
    print(f"{version} versions in {len(found)} records after {asleep_s:.0f} s asleep")
    assert len({record.event_id for record in found}) == version < len(found)
