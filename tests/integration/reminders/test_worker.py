"""The worker's loop: it holds what comes soon, hears of changes, and finds what it was not told."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from schemas.partitions import partition_of
from schemas.settings import Settings
from streams.effects.reading import read_event
from streams.effects.retrying import Trouble
from streams.effects.worker import Post
from streams.observability.metrics import REMINDERS_SWEPT
from streams.relay.envelope import messages_of
from streams.store.database import Database
from streams.store.outbox import unsent_rows
from streams.transport.interface import Record
from tests.integration.reminders.test_firing import ledger, move
from tests.reminder_world import all_fired, database_now, lateness_s, make_users, plan
from tests.waiting import eventually

if TYPE_CHECKING:
    from streams.reminders import Reminders  # it reads its settings when it is imported

Make = Callable[[], "Reminders"]
ALL = frozenset(range(4))


@asynccontextmanager
async def keeping(
    worker: "Reminders", database: Database, partitions: frozenset[int] = ALL
) -> AsyncIterator[list[frozenset[int]]]:
    """Run a worker; gives a list whose last item is what it owns."""
    owned = [partitions]
    post = Post(
        settings=Settings(_env_file=None),
        database=database,
        trouble=Trouble(),
        partition_count=4,
        partitions=lambda: owned[-1],
        wake=asyncio.Event(),
    )
    running = asyncio.create_task(worker.keep(post))
    try:
        yield owned
    finally:
        post.trouble.stopping.set()
        post.wake.set()
        await asyncio.wait_for(running, 5)


async def tell(worker: "Reminders", database: Database) -> None:
    """Let a worker consume the events that are in the outbox."""
    rows = [row for row in await unsent_rows(database, 5_000) if ".task." in row.type]
    messages = [messages_of(row, 1)[0] for row in rows]
    events = [
        read_event(Record(one.topic, 0, n, one.key, one.value, (), 0))
        for n, one in enumerate(messages)
    ]
    async with database.transaction() as session:
        await worker.apply(session, events)


async def has_read(worker: "Reminders") -> None:
    await eventually(lambda: _has_read_all(worker), 5, "the window is read")


async def soon(database: Database, milliseconds: float) -> datetime:
    return await database_now(database) + timedelta(milliseconds=milliseconds)


async def test_what_was_planned_before_it_started_fires_at_its_instant(
    make: Make, database: Database
) -> None:
    """And what fell due before that, at once, in order."""
    users = await make_users(database, 8)
    late = await plan(database, users, [await soon(database, -n * 60_000) for n in range(1, 9)])
    await plan(database, users, [await soon(database, 300)] * 8)
    async with keeping(make(), database):
        rows = await all_fired(database, 16, 5)
    assert [row["reminder_id"] for row in rows[:8]] == list(reversed(late))
    assert [row["late"] for row in rows] == [True] * 8 + [False] * 8
    assert max(lateness_s(rows[8:])) < 0.5


async def test_an_event_adds_and_moves_in_time(make: Make, database: Database) -> None:
    users = await make_users(database, 1)
    worker = make()
    async with keeping(worker, database):
        await has_read(worker)
        (first, second) = await plan(database, users, [await soon(database, 60_000)] * 2)
        await tell(worker, database)
        assert len(worker.window) == 2
        await move(database, second, await soon(database, 200))
        await tell(worker, database)
        rows = await all_fired(database, 1, 2)
    assert [row["reminder_id"] for row in rows] == [second]
    assert lateness_s(rows)[0] < 0.5
    assert list(worker.window._planned) == [first]


async def test_the_sweep_finds_what_no_event_told(
    make: Make, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """It counts, and is no bug while the event is on its way."""
    users = await make_users(database, 1)
    worker = make()
    counter = REMINDERS_SWEPT.labels("false")
    before = counter._value.get()
    async with keeping(worker, database):
        await has_read(worker)
        await plan(database, users, [await soon(database, 100)])
        await all_fired(database, 1, 9)
    assert counter._value.get() - before == 1
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_what_the_sweep_finds_though_its_event_was_consumed_is_an_error(
    make: Make, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    users = await make_users(database, 1)
    worker = make()
    counter = REMINDERS_SWEPT.labels("true")
    before = counter._value.get()
    async with keeping(worker, database):
        await has_read(worker)
        await plan(database, users, [await soon(database, 1_000)])
        await tell(worker, database)
        worker.window.clear()
        await all_fired(database, 1, 9)
    assert counter._value.get() - before == 1
    assert "whose event was consumed" in caplog.text


def of_partition(users: Sequence[UUID], number: int) -> list[UUID]:
    return [user for user in users if partition_of(str(user).encode(), 4) == number]


async def test_each_fires_for_the_users_whose_partitions_it_has(
    make: Make, database: Database
) -> None:
    """What it is given later fires as soon as it has it; without any it fires nothing.

    What is not its own fires there too when it is overdue by 0.75 s: its worker may be dead.
    """
    users = await make_users(database, 40)
    await plan(database, users, [await soon(database, -10)] * 40)
    mine = {user for n in (0, 1) for user in of_partition(users, n)}
    worker = make()
    async with keeping(worker, database, frozenset({0, 1})) as owned:
        rows = await all_fired(database, len(mine), 5)
        fired = await database.fetch("SELECT DISTINCT user_id FROM reminder_firings")
        assert {row["user_id"] for row in fired} == mine
        owned.append(frozenset())
        later = await plan(database, users, [await soon(database, -10)] * 40)
        owned.append(frozenset({2, 3}))
        rows = await all_fired(database, 80, 9)
    foreign = {task for task, owner in zip(later, users, strict=True) if owner in mine}
    late_s = lateness_s([row for row in rows if row["reminder_id"] in foreign])
    assert min(late_s) >= 0.75
    assert max(late_s) < 1.5


async def test_more_than_it_may_hold_is_read_as_it_fires(
    make: Make, worker_module: ModuleType, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    """In order, and never holding more than twice the limit."""
    monkeypatch.setattr(worker_module, "HELD_MAX", 100)
    monkeypatch.setattr(worker_module, "PAGE_ROWS", 30)
    monkeypatch.setattr(worker_module, "BATCH_ROWS", 20)
    users = await make_users(database, 10)
    now = await database_now(database)
    instants = [now - timedelta(milliseconds=n) for n in range(1_000)]
    await plan(database, users, instants)
    worker = make()
    async with keeping(worker, database):
        rows = await all_fired(database, 1_000, 9)
        assert [row["fires_at"] for row in rows] == sorted(instants)
        await eventually(lambda: _has_read_all(worker), 5, "the window is read")
        begin = await soon(database, 60_000)
        near = [begin + timedelta(milliseconds=n) for n in range(500)]
        await plan(database, users, near)
        at = await soon(database, 1_000)
        await plan(database, users, [at] * 10)
        await tell(worker, database)
        rows = await all_fired(database, 1_010, 9)
        assert max(lateness_s(rows[1_000:])) < 0.5
        assert await _holds_at_most(worker, 130)


async def _has_read_all(worker: "Reminders") -> bool:
    return worker._mark.id.int == 0 and worker._mark.fires_at.year > 1


async def _holds_at_most(worker: "Reminders", count: int) -> bool:
    return 0 < len(worker.window) <= count


async def test_a_database_that_fails_is_waited_for(make: Make, database: Database) -> None:
    """Red meanwhile; what was due then fires when it is back."""
    users = await make_users(database, 1)
    worker = make()
    async with keeping(worker, database):
        await has_read(worker)
        await database.fetch("ALTER TABLE reminder_firings RENAME TO away")
        await plan(database, users, [await soon(database, 50)])
        await tell(worker, database)
        await database.fetch("ALTER TABLE away RENAME TO reminder_firings")
        assert len(await all_fired(database, 1, 9)) == 1
    assert len(await ledger(database)) == 1
