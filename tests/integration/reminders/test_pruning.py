"""The ledger forgets what is long past, and nothing fires again for it."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from types import ModuleType
from uuid import UUID

import pytest

from streams.store import reminders
from streams.store.database import Database
from streams.store.reminders import LEDGER_KEPT, fire, prune_ledger
from tests.integration.reminders.test_firing import create, due_events, ledger, move, planned
from tests.reminder_world import database_now
from tests.waiting import eventually

_AGE = """
    UPDATE reminder_firings
       SET fires_at = fires_at - $1::interval, fired_at = fired_at - $1::interval"""
_AGE_REMINDERS = "UPDATE reminders SET fired_at = fired_at - $1::interval"
OLD = LEDGER_KEPT + timedelta(minutes=1)


async def fired(database: Database, user: UUID, count: int) -> Sequence[UUID]:
    now = await database_now(database)
    tasks = [await create(database, user, now) for _ in range(count)]
    assert len((await fire(database, await planned(database))).fired) == count
    return tasks


async def age(database: Database) -> None:
    """Let all that has fired have done so long ago."""
    await database.fetch(_AGE, OLD)
    await database.fetch(_AGE_REMINDERS, OLD)


async def test_what_has_fired_long_ago_is_forgotten_and_nothing_else(
    database: Database, user: UUID
) -> None:
    await fired(database, user, 3)
    await age(database)
    await database.fetch("UPDATE reminder_firings SET fired_at = fired_at + interval '1 hour'")
    assert await prune_ledger(database) == 0
    await database.fetch("UPDATE reminder_firings SET fired_at = fired_at - interval '1 hour'")
    (recent,) = await fired(database, user, 1)
    assert await prune_ledger(database) == 3
    assert [row["task_id"] for row in await ledger(database)] == [recent]
    rows = await database.fetch("SELECT FROM reminders WHERE fired_at IS NOT NULL")
    assert len(rows) == 4, "each reminder still says when it fired"


async def test_a_batch_is_bounded_and_the_oldest_come_first(
    database: Database, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fired(database, user, 5)
    await age(database)
    monkeypatch.setattr(reminders, "PRUNED_MAX", 2)
    assert [await prune_ledger(database) for _ in range(4)] == [2, 2, 1, 0]


async def test_one_worker_prunes_at_a_time_and_others_wait_for_none(
    database: Database, user: UUID
) -> None:
    """Its lock ends with its transaction, whether it says so or its connection does."""
    await fired(database, user, 1)
    await age(database)
    async with database.transaction() as session:
        await session.fetch("SELECT pg_advisory_xact_lock($1)", reminders._PRUNER)
        assert await asyncio.wait_for(prune_ledger(database), 2) == 0
    assert await prune_ledger(database) == 1


async def test_an_instant_that_the_ledger_has_forgotten_does_not_fire_again(
    database: Database, user: UUID
) -> None:
    """Though somebody plans it anew: the reminder knows that it fired after it."""
    (task_id,) = await fired(database, user, 1)
    await age(database)
    (row,) = await ledger(database)
    instant: datetime = row["fires_at"]
    await prune_ledger(database)
    await move(database, task_id, instant)
    assert not (await fire(database, await planned(database))).fired
    assert await planned(database) == []
    assert len(await due_events(database)) == 1
    await move(database, task_id, await database_now(database))
    assert (await fire(database, await planned(database))).fired == {task_id}


async def test_what_has_waited_for_longer_than_the_ledger_lasts_fires_though(
    database: Database, user: UUID
) -> None:
    """All were away: it has not fired for this instant, whether it ever did before or not."""
    (before,) = await fired(database, user, 1)
    now = await database_now(database)
    await database.fetch(_AGE_REMINDERS, 2 * OLD)
    await move(database, before, now - OLD)
    never = await create(database, user, now)
    await move(database, never, now - OLD)
    assert (await fire(database, await planned(database))).fired == {before, never}


async def test_a_worker_prunes_beside_what_it_fires_and_again_while_there_is_more(
    database: Database, user: UUID, worker_module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that refuses is tried again."""
    await fired(database, user, 5)
    await age(database)
    monkeypatch.setattr(reminders, "PRUNED_MAX", 2)
    monkeypatch.setattr(worker_module, "PRUNE_AGAIN_S", 0.01)
    monkeypatch.setattr(worker_module, "PRUNE_S", 0.05)
    await database.fetch("ALTER TABLE reminder_firings RENAME TO away")

    async def is_empty() -> bool:
        return await ledger(database) == []

    async with worker_module.pruning(database):
        await database.fetch("ALTER TABLE away RENAME TO reminder_firings")
        await eventually(is_empty, 5, "all that is old is forgotten")
