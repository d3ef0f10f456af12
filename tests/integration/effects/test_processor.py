"""The processor: each record of the log once, in order, whatever is brought and by whom."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from streams.effects.processor import Processor
from streams.effects.retrying import StoppingError
from streams.observability.health import NotReadyError
from streams.observability.metrics import EFFECTS_GAPS, EFFECTS_HOLES
from streams.transport import memory
from tests.integration.effects.effects_world import World
from tests.waiting import eventually


def is_red(processor: Processor, words: str) -> Callable[[], Awaitable[bool]]:
    """Give a condition: the worker's health check fails and says these words."""

    async def condition() -> bool:
        try:
            await processor.trouble.check()
        except NotReadyError as error:
            return words in str(error)
        return False

    return condition


async def test_effects_and_ledger_move_together(world: World) -> None:
    records = await world.publish(*range(10))
    await world.processor().process(records)
    assert await world.written() == list(range(10))
    assert await world.ledger() == 10


async def test_of_two_workers_on_a_partition_only_one_writes(world: World) -> None:
    """Whoever comes second is fenced: by what it remembers, or by the row that both move."""
    records = await world.publish(*range(20))
    first, second = world.processor(), world.processor()
    await second.ledger.expected(0)
    await first.process(records)
    await second.process(records)
    assert await world.written() == list(range(20))
    more = await world.publish(*range(20, 120))
    batches = [more[start : start + 7] for start in range(0, 100, 7)]
    for batch in batches:
        await asyncio.gather(first.process(batch), second.process(batch))
    assert await world.written() == list(range(120))
    assert await world.ledger() == 120


async def test_what_is_below_the_ledger_is_dropped(world: World) -> None:
    """It was done already; also when only a part of what is brought is below it."""
    records = await world.publish(*range(10))
    processor = world.processor()
    await processor.process(records[:6])
    await processor.process(records[2:5])
    await processor.process(records)
    await world.processor().process([records[3], records[3], records[9]])
    assert await world.written() == list(range(10))


async def test_a_hole_is_read_from_the_log(world: World) -> None:
    """Faust has lost what is between the ledger and the first record that it brings."""
    holes = EFFECTS_HOLES.labels("test")
    before = holes._value.get()
    records = await world.publish(*range(1_200))
    processor = world.processor()
    await processor.process([records[700], records[3], *records[800:]])
    assert await world.written() == list(range(1_200))
    assert holes._value.get() - before == 799


async def test_a_gap_of_the_log_itself_is_accepted_with_a_higher_record_as_proof(
    world: World,
) -> None:
    """It is counted, and an alarm looks at the counter."""
    gaps = EFFECTS_GAPS.labels("test")
    before = gaps._value.get()
    records = await world.publish(*range(10))
    world.log.hidden = {3, 4}
    await world.processor().process(records[5:])
    assert await world.written() == [0, 1, 2, 5, 6, 7, 8, 9]
    assert gaps._value.get() - before == 2
    assert await world.ledger() == 10


async def test_a_gap_without_a_proof_is_waited_for(world: World) -> None:
    """At the end of the log nothing higher shows that nothing will come: red, and nothing moves."""
    records = await world.publish(*range(5))
    processor = world.processor()
    await processor.process(records[:3])
    world.log.hidden = {3, 4}
    await processor.catch_up([0])
    waiting = asyncio.create_task(processor.catch_up([0]))
    await eventually(is_red(processor, "does not show offset 4"), 5, "the worker is red")
    assert await world.ledger() == 3
    await world.publish(5)
    await asyncio.wait_for(waiting, 5)
    assert await world.ledger() == 5
    await processor.trouble.check()


async def halted(world: World, processor: Processor, *words: str) -> None:
    """Check that what is asked of a worker halts it, red, until the process stops."""
    records = await world.records("task-events")
    working = asyncio.create_task(processor.process(records))
    for word in words:
        await eventually(is_red(processor, word), 5, f"the worker is red: {word}")
    before = await world.ledger()
    assert not working.done()
    processor.trouble.stopping.set()
    with pytest.raises(StoppingError):
        await asyncio.wait_for(working, 1)
    assert await world.ledger() == before


async def test_a_ledger_behind_the_end_of_the_log_halts_and_names_rewind(world: World) -> None:
    """The topic was made anew: a worker that went on would skip what comes."""
    await world.publish(*range(10))
    await world.database.fetch("INSERT INTO stream_offsets VALUES ('test', 'task-events', 0, 11)")
    await halted(world, world.processor(), "is at 11", "0 to 10", "`rewind` test")
    assert await world.written() == []


async def test_a_ledger_before_the_start_of_the_log_halts_and_names_rewind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it had to process next is gone; also when that happens to a worker that runs."""
    monkeypatch.setattr(memory, "RECORDS_KEPT", 10)
    await world.publish(*range(5))
    running = world.processor()
    await running.process(await world.records("task-events"))
    await world.publish(*range(5, 30))
    await halted(world, world.processor(), "is at 5", "20 to 30", "`rewind` test")
    await halted(world, running, "is at 5", "20 to 30", "`rewind` test")
    assert await world.written() == list(range(5))


async def test_a_ledger_that_another_worker_moves_meanwhile_halts_nobody(world: World) -> None:
    """What the log held when it was asked is older than what the ledger says by then."""
    await world.publish(*range(5))
    before = await world.log.extents("task-events")
    other = world.processor()
    await other.process(await world.publish(*range(5, 10)))
    world.log.stale = [before]
    fresh = world.processor()
    assert await asyncio.wait_for(fresh.ledger.expected(0), 5) == 10
    await fresh.catch_up([0])
    world.log.stale = [before]
    await asyncio.wait_for(fresh.catch_up([0]), 5)
    await fresh.trouble.check()
    assert await world.written() == list(range(10))


async def test_a_worker_that_had_a_partition_long_ago_goes_on_where_others_left_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it remembers has left the log meanwhile, and was done by others: no reason to halt."""
    monkeypatch.setattr(memory, "RECORDS_KEPT", 10)
    returning, other = world.processor(), world.processor()
    await returning.process(await world.publish(*range(5)))
    for start in range(5, 45, 5):
        await other.process(await world.publish(*range(start, start + 5)))
    assert (await world.log.extents("task-events"))[0].start == 35
    await asyncio.wait_for(returning.process(await world.publish(45)), 5)
    assert await world.written() == list(range(46))


async def test_a_rewound_ledger_is_followed(world: World) -> None:
    """A running worker notices by the fence, and does again what lies between."""
    records = await world.publish(*range(10))
    processor = world.processor()
    await processor.process(records)
    await world.database.fetch("UPDATE stream_offsets SET next_offset = 4")
    await processor.process(await world.publish(10))
    assert await world.written() == [*range(10), *range(4, 11)]
    assert await world.ledger() == 11


async def test_what_nobody_brought_is_caught_up_with(world: World) -> None:
    """Events that never came through Faust are read from the log, at the second look."""
    await world.publish(*range(1_300))
    processor = world.processor()
    await processor.catch_up([0, 1])
    assert await world.written() == []
    await processor.catch_up([0, 1])
    assert await world.written() == list(range(1_300))
    assert await world.ledger() == 1_300
    await processor.catch_up([0, 1])


async def test_catching_up_does_nothing_while_the_worker_is_at_work(world: World) -> None:
    records = await world.publish(*range(10))
    processor = world.processor()
    await world.database.fetch("ALTER TABLE written RENAME TO away")
    working = asyncio.create_task(processor.process(records))
    await eventually(is_red(processor, "refuses"), 5, "the worker is red")
    await asyncio.wait_for(processor.catch_up([0]), 0.5)
    assert await is_red(processor, "refuses")()
    await world.database.fetch("ALTER TABLE away RENAME TO written")
    await asyncio.wait_for(working, 5)


async def test_a_stop_ends_what_waits_at_once_and_moves_nothing(world: World) -> None:
    """Also between two runs, where nothing waits."""
    records = await world.publish(*range(10))
    processor = world.processor()
    await world.database.fetch("ALTER TABLE written RENAME TO away")
    working = asyncio.create_task(processor.process(records))
    await eventually(is_red(processor, "refuses"), 5, "the worker is red")
    processor.trouble.stopping.set()
    with pytest.raises(StoppingError):
        await asyncio.wait_for(working, 0.5)
    assert await world.ledger() == 0
    await world.database.fetch("ALTER TABLE away RENAME TO written")
    with pytest.raises(StoppingError):
        await processor.process(records)
    assert await world.written() == []
