"""Publishing, as `streams/transport/interface.py` promises it."""

import asyncio
from datetime import timedelta

import pytest

from schemas.settings import TransportKind
from schemas.topics import Topic
from streams.transport.interface import (
    Message,
    MessageTooLargeError,
    Place,
    TransportClosedError,
    UnknownTopicError,
)
from streams.transport.opening import open_transport
from tests.contract.conftest import PARTITIONS, World
from tests.contract.reading import publish, read_all


def letters(world: World, key: bytes, count: int) -> list[Message]:
    return [Message(world.topic, key, b"%d" % number) for number in range(count)]


async def test_messages_of_one_key_are_read_in_the_order_of_publishing(world: World) -> None:
    """They go to one partition, and their places say where they stand."""
    messages = letters(world, b"ada", 1_200)
    places = await publish(world.transport, messages)
    assert {place.partition for place in places} == {places[0].partition}
    assert [place.offset for place in places] == list(range(1_200))
    records = (await read_all(world.transport, world.topic))[places[0].partition]
    assert [record.value for record in records] == [message.value for message in messages]
    assert [record.offset for record in records] == [place.offset for place in places]


async def test_the_order_of_a_key_holds_among_many(world: World) -> None:
    """One call carries many keys, and each keeps its order."""
    keys = [b"user-%d" % number for number in range(50)]
    await publish(
        world.transport, [m for n in range(20) for k in keys for m in [letters(world, k, 20)[n]]]
    )
    logs = await read_all(world.transport, world.topic)
    assert len([log for log in logs.values() if log]) == PARTITIONS
    for key in keys:
        values = [r.value for log in logs.values() for r in log if r.key == key]
        assert values == [b"%d" % number for number in range(20)]


async def test_key_value_headers_and_partition_are_kept(world: World) -> None:
    """What comes out is what went in, byte for byte."""
    headers = (("epoch", b"7"), ("epoch", b"8"), ("raw", bytes(range(256))))
    place = await world.transport.publish(
        Message(world.topic, b"\x00key", b"\xff\x00value", headers, partition=3)
    )
    assert place == Place(world.topic, 3, 0)
    (record,) = (await read_all(world.transport, world.topic))[3]
    assert (record.key, record.value, record.headers) == (b"\x00key", b"\xff\x00value", headers)
    assert record.timestamp_ms > 0


async def test_an_oversized_message_fails_alone(world: World) -> None:
    """It fails every time, and those around it are published, in order."""
    small = letters(world, b"ada", 2)
    large = Message(world.topic, b"ada", b"x" * 65_537)
    first, refused, second = await world.transport.publish_many([small[0], large, small[1]])
    assert isinstance(refused, MessageTooLargeError)
    assert isinstance(first, Place)
    assert isinstance(second, Place)
    with pytest.raises(MessageTooLargeError):
        await world.transport.publish(large)
    values = [
        r.value for log in (await read_all(world.transport, world.topic)).values() for r in log
    ]
    assert values == [b"0", b"1"]


async def test_an_unknown_topic_is_refused_at_once_and_not_made(world: World) -> None:
    """No topic is ever made by being named."""
    for _ in range(2):
        with pytest.raises(UnknownTopicError):
            await world.transport.publish(Message("nowhere", b"k", b"v"))
    with pytest.raises(UnknownTopicError):
        await world.transport.extents("nowhere")
    with pytest.raises(UnknownTopicError):
        await world.transport.offsets_since("nowhere", 0)
    with pytest.raises(UnknownTopicError):
        async with world.transport.tail("nowhere", {0: 0}):
            pass
    with pytest.raises(UnknownTopicError):
        async with world.transport.subscribe("nowhere", "group"):
            pass


async def test_calls_that_run_at_once_lose_nothing(world: World) -> None:
    """They have no order between them, and every message has a place of its own."""
    calls = [letters(world, b"user-%d" % number, 30) for number in range(20)]
    places = await asyncio.gather(*(publish(world.transport, call) for call in calls))
    taken = {(place.partition, place.offset) for call in places for place in call}
    assert len(taken) == 600
    logs = await read_all(world.transport, world.topic)
    assert sum(map(len, logs.values())) == 600


async def test_a_closed_transport_refuses_everything(world: World) -> None:
    """Closing twice is allowed."""
    await world.transport.aclose()
    await world.transport.aclose()
    message = Message(world.topic, b"k", b"v")
    with pytest.raises(TransportClosedError):
        await world.transport.publish(message)
    with pytest.raises(TransportClosedError):
        await world.transport.extents(world.topic)
    with pytest.raises(TransportClosedError):
        await world.transport.offsets_since(world.topic, 0)
    with pytest.raises(TransportClosedError):
        await world.transport.check()
    with pytest.raises(TransportClosedError):
        await world.transport.create_topics([])
    with pytest.raises(TransportClosedError):
        async with world.transport.tail(world.topic, {0: 0}):
            pass
    with pytest.raises(TransportClosedError):
        async with world.transport.subscribe(world.topic, "group"):
            pass


async def test_a_topic_can_be_used_as_soon_as_it_was_created(
    kind: TransportKind, world: World
) -> None:
    """By every client of the log, at once."""
    for number in range(10):
        topic = Topic(f"at-once-{number}", timedelta(days=1), 65_536, "Used at once.")
        assert await world.transport.create_topics([topic]) == [topic.name]
        if kind is TransportKind.MEMORY:
            await world.transport.publish(Message(topic.name, b"k", b"v"))
            continue
        async with open_transport(world.settings) as other:
            await other.publish(Message(topic.name, b"k", b"v"))


async def test_creating_a_topic_again_leaves_it_as_it_is(world: World) -> None:
    """It is not named as created, and keeps its records."""
    await publish(world.transport, letters(world, b"ada", 1))
    again = Topic(world.topic, timedelta(days=2), 65_536, "The same.")
    assert await world.transport.create_topics([again]) == []
    logs = await read_all(world.transport, world.topic)
    assert sum(map(len, logs.values())) == 1
    await world.transport.check()
