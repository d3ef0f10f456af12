"""A paused app processes nothing, is ready, and goes on where it was; a moved ledger is noticed."""

import asyncio

import pytest

from streams.effects.processor import Processor
from streams.effects.retrying import StoppingError
from streams.observability.health import Health
from streams.observability.metrics import EFFECTS_LAG, EFFECTS_PAUSED
from streams.store.database import StoreError
from streams.store.offsets import set_offsets
from streams.store.pauses import find_pause, pause_app, resume_app
from streams.transport import memory
from tests.integration.effects.effects_world import TOPIC, World
from tests.integration.effects.test_processor import is_red
from tests.waiting import eventually


async def checked(processor: Processor) -> tuple[bool, bytes]:
    return await Health({"effects": processor.check}).ready()


async def test_a_paused_worker_processes_nothing_and_is_ready_and_its_lag_grows(
    world: World,
) -> None:
    """Resumed, it goes on from where it was, and nothing is lost."""
    processor = world.processor()
    await processor.process(await world.publish(*range(3)))
    assert await pause_app(world.database, "test", "ada@host")
    assert not await pause_app(world.database, "test", "ada@host")
    working = asyncio.create_task(processor.process(await world.publish(*range(3, 10))))

    async def says_paused() -> bool:
        return await checked(processor) == (
            True,
            b'{"status":"ready","checks":{"effects":"paused"}}',
        )

    await eventually(says_paused, 5, "the worker says that it is paused")
    await processor.catch_up([0])
    assert EFFECTS_LAG.labels("test", 0)._value.get() == 7
    assert EFFECTS_PAUSED.labels("test")._value.get() == 1
    assert (await world.written(), await world.ledger()) == ([0, 1, 2], 3)
    assert not working.done()
    assert await resume_app(world.database, "test")
    assert not await resume_app(world.database, "test")
    await asyncio.wait_for(working, 5)
    assert await world.written() == list(range(10))
    assert (await checked(processor))[1] == b'{"status":"ready","checks":{"effects":"ok"}}'


async def test_no_batch_is_committed_after_the_pause_though_the_worker_has_not_looked(
    world: World,
) -> None:
    """The statement that moves the ledger looks itself."""
    processor = world.processor()
    await processor.process(await world.publish(0))
    await pause_app(world.database, "test", "ada@host")
    assert not processor.pause.on
    working = asyncio.create_task(processor.process(await world.publish(1)))

    async def looked() -> bool:
        return processor.pause.on

    await eventually(looked, 5, "the worker has seen the pause")
    assert await world.written() == [0]
    processor.trouble.stopping.set()
    with pytest.raises(StoppingError):
        await asyncio.wait_for(working, 1)


async def test_a_worker_that_starts_paused_is_ready_and_an_idle_one_catches_up_with_nothing(
    world: World,
) -> None:
    """Another app's pause is none of its business."""
    await pause_app(world.database, "test", "ada@host")
    await world.publish(*range(5))
    processor = world.processor()
    async with asyncio.timeout(10):
        for _ in range(3):
            await processor.catch_up([0])
    assert (await checked(processor))[0]
    assert await world.written() == []
    await resume_app(world.database, "test")
    await pause_app(world.database, "other", "ada@host")
    for _ in range(3):
        await processor.catch_up([0])
    assert await world.written() == list(range(5))


async def test_an_idle_worker_notices_that_its_ledger_was_rewound(world: World) -> None:
    """Nothing comes that would make it look, and it looks all the same."""
    processor = world.processor()
    await processor.process(await world.publish(*range(10)))
    async with world.database.transaction() as session:
        assert await set_offsets(session, "test", TOPIC, {0: 6}) == {0: 10}
    for _ in range(2):
        await processor.catch_up([0])
    assert await world.written() == [*range(10), *range(6, 10)]
    assert await world.ledger() == 10


async def test_a_worker_whose_ledger_is_outside_of_the_log_goes_on_when_it_is_rewound(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a restart."""
    monkeypatch.setattr(memory, "RECORDS_KEPT", 10)
    records = await world.publish(*range(30))
    await world.database.fetch("INSERT INTO stream_offsets VALUES ('test', 'task-events', 0, 5)")
    processor = world.processor()
    working = asyncio.create_task(processor.process(records))
    await eventually(is_red(processor, "`rewind` test"), 5, "the worker is red")
    async with world.database.transaction() as session:
        await set_offsets(session, "test", TOPIC, {0: 20})
    await asyncio.wait_for(working, 10)
    await processor.trouble.check()
    assert await world.written() == list(range(20, 30))


async def test_a_pause_that_cannot_wait_for_a_batch_says_that_it_holds_all_the_same(
    world: World,
) -> None:
    """The batch that began before it may still be committed, and no later one is."""
    await world.processor().process(await world.publish(0))
    async with world.database.transaction() as session:
        await session.fetch("SELECT FROM stream_offsets FOR UPDATE")
        with pytest.raises(StoreError, match="test is paused, and a batch that began before"):
            await pause_app(world.database, "test", "ada@host")
    assert await find_pause(world.database, "test") is not None
