"""Reading, as `streams/transport/interface.py` promises it."""

import asyncio

import pytest

from streams.transport.interface import (
    Extent,
    Message,
    OffsetOutOfRangeError,
    TransportClosedError,
)
from tests.contract.conftest import PARTITIONS, World
from tests.contract.reading import publish, read_until


async def fill(world: World, count: int, partition: int = 0) -> None:
    await publish(
        world.transport,
        [Message(world.topic, b"k", b"%d" % n, partition=partition) for n in range(count)],
    )


async def test_extents_tell_what_each_partition_holds(world: World) -> None:
    """From the oldest offset up to but not including the next one."""
    empty = Extent(0, 0)
    assert await world.transport.extents(world.topic) == dict.fromkeys(range(PARTITIONS), empty)
    await fill(world, 3, partition=2)
    assert (await world.transport.extents(world.topic))[2] == Extent(0, 3)


async def test_offsets_since_an_instant_are_those_of_what_was_published_then(world: World) -> None:
    """The end, where nothing was."""
    await fill(world, 3, partition=2)
    async with world.transport.tail(world.topic, {2: 0}) as tail:
        first, *_ = await read_until(tail, 3)
    at_ms = first.timestamp_ms
    offsets = await world.transport.offsets_since(world.topic, at_ms)
    assert offsets == {0: 0, 1: 0, 2: 0, 3: 0}
    assert (await world.transport.offsets_since(world.topic, at_ms + 60_000))[2] == 3


async def test_a_tail_begins_at_its_position(world: World) -> None:
    """The record at the offset that is given is the first."""
    await fill(world, 10)
    async with world.transport.tail(world.topic, {0: 7}) as tail:
        assert [record.offset for record in await read_until(tail, 3)] == [7, 8, 9]
        assert await tail.read(10, 0.05) == []


async def test_a_waiting_tail_gets_what_comes(world: World) -> None:
    """A read that waits ends as soon as there is a record."""
    async with world.transport.tail(world.topic, dict.fromkeys(range(PARTITIONS), 0)) as tail:
        reading = asyncio.create_task(read_until(tail, 1))
        await fill(world, 1, partition=3)
        (record,) = await reading
        assert (record.partition, record.offset) == (3, 0)


async def test_a_position_outside_of_the_log_is_told(world: World) -> None:
    """Nothing is skipped in silence."""
    await fill(world, 2)
    async with world.transport.tail(world.topic, {0: 5}) as tail:
        with pytest.raises(OffsetOutOfRangeError):
            await read_until(tail, 1)


async def test_a_read_gives_no_more_than_it_was_asked_for(world: World) -> None:
    """A reader that does not read holds up nobody, and misses nothing."""
    await fill(world, 500)
    async with (
        world.transport.tail(world.topic, {0: 0}) as slow,
        world.transport.tail(world.topic, {0: 0}) as quick,
    ):
        assert len(await read_until(slow, 10)) == 10
        assert len(await read_until(quick, 500)) == 500
        page = await slow.read(20, 5)
        assert 0 < len(page) <= 20
        assert page[0].offset == 10


async def test_a_cancelled_read_loses_nothing(world: World) -> None:
    """What comes after the cancellation is read by the next read."""
    async with world.transport.tail(world.topic, {0: 0}) as tail:
        reading = asyncio.create_task(tail.read(10, 30))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await fill(world, 2)
        assert [record.offset for record in await read_until(tail, 2)] == [0, 1]


async def test_a_group_that_comes_late_gets_everything(world: World) -> None:
    """A new group begins at the start of the log."""
    await fill(world, 20)
    async with world.transport.subscribe(world.topic, "late") as member:
        assert len(await read_until(member, 20)) == 20


async def test_what_was_not_committed_comes_again(world: World) -> None:
    """A member that crashed before its commit leaves its records to the next one."""
    await fill(world, 10)
    async with world.transport.subscribe(world.topic, "workers") as member:
        records = await read_until(member, 10)
        await member.commit([records[3]])
    async with world.transport.subscribe(world.topic, "workers") as member:
        again = await read_until(member, 6)
        assert [record.offset for record in again] == [4, 5, 6, 7, 8, 9]
        await member.commit([again[-1]])
    async with world.transport.subscribe(world.topic, "workers") as member:
        assert await member.read(10, 0.5) == []


async def test_groups_do_not_share(world: World) -> None:
    """Each group gets every record."""
    await fill(world, 5)
    for group in ("one", "two"):
        async with world.transport.subscribe(world.topic, group) as member:
            assert len(await read_until(member, 5)) == 5


async def test_members_of_a_group_share_the_partitions(world: World) -> None:
    """Once both have joined, each record goes to one of them."""
    async with (
        world.transport.subscribe(world.topic, "pair") as first,
        world.transport.subscribe(world.topic, "pair") as second,
    ):
        seen: dict[int, set[int]] = {1: set(), 2: set()}
        number = 0
        async with asyncio.timeout(60):
            while not (len(seen[1]) == len(seen[2]) == PARTITIONS // 2):
                seen = {1: set(), 2: set()}
                batch = [
                    Message(world.topic, b"k", b"%d" % number, partition=p)
                    for p in range(PARTITIONS)
                ]
                number += 1
                await publish(world.transport, batch)
                for who, member in ((1, first), (2, second)):
                    records = await member.read(100, 0.5)
                    fresh = [r for r in records if r.value == b"%d" % (number - 1)]
                    seen[who] = {record.partition for record in fresh}
        assert not seen[1] & seen[2]


@pytest.mark.parametrize("how", ["tail", "subscribe"])
async def test_a_read_that_waits_ends_when_the_transport_is_closed(world: World, how: str) -> None:
    """It raises, so that nobody waits for a log that is gone."""
    opened = (
        world.transport.tail(world.topic, {0: 0})
        if how == "tail"
        else world.transport.subscribe(world.topic, "group")
    )
    async with opened as reader:
        reading = asyncio.create_task(reader.read(1, 30))
        await asyncio.sleep(0)
        await world.transport.aclose()
        with pytest.raises(TransportClosedError):
            await reading
