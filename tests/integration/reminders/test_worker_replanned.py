"""A worker learns in milliseconds of a plan that moved without an event of its tasks."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime, time, timedelta
from math import ceil
from types import ModuleType
from uuid import UUID

import pytest

from schemas.ids import new_id
from streams.observability.metrics import REMINDERS_SWEPT
from streams.store import replanned
from streams.store.database import Database
from streams.store.replanned import Replanned
from tests.integration.reminders.test_replanning import create, wish
from tests.integration.reminders.test_worker import Make, has_read, keeping, tell
from tests.reminder_world import all_fired, count_fired, database_now, lateness_s
from tests.waiting import eventually

HEARD_S_MAX = 0.5

_WISH = """
    INSERT INTO reminder_settings (user_id, default_before_due_minutes, quiet_from, quiet_until)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id) DO UPDATE
        SET default_before_due_minutes = excluded.default_before_due_minutes,
            quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until"""

_DEAFEN = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND query LIKE 'LISTEN%'"""


async def far_day(database: Database) -> date:
    return (await database_now(database)).date() + timedelta(days=3)


async def bring_forward(database: Database, user: UUID, due_on: date, after_s: float) -> None:
    """Let what is due on a day remind so soon, by its user's wishes alone.

    To the minute by the default, and to the microsecond by the end of quiet hours.
    """
    now = await database_now(database)
    due_at = datetime.combine(due_on, time(9), now.tzinfo)
    minutes = ceil((due_at - now) / timedelta(minutes=1))
    begin = due_at - timedelta(minutes=minutes)
    end = now + timedelta(seconds=after_s)
    await database.fetch(_WISH, user, minutes, begin.time(), end.time())


def swept() -> tuple[float, float]:
    """Give how many only the sweep has found: those whose event was consumed, and others."""
    consumed, other = [REMINDERS_SWEPT.labels(label)._value.get() for label in ("true", "false")]
    return consumed, other


async def test_what_a_wish_brings_forward_fires_at_its_new_instant(
    make: Make, database: Database, user: UUID, caplog: pytest.LogCaptureFixture
) -> None:
    """Though the event of its task was consumed before; the sweep finds nothing."""
    due_on = await far_day(database)
    await create(database, user, due_on)
    worker = make()
    before = swept()
    async with keeping(worker, database):
        await has_read(worker)
        await tell(worker, database)
        assert len(worker.window) == 0
        await bring_forward(database, user, due_on, 0.3)
        rows = await all_fired(database, 1, 5)
    assert lateness_s(rows)[0] < HEARD_S_MAX
    assert swept() == before
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_what_a_wish_puts_off_does_not_fire_at_its_old_instant(
    make: Make, database: Database, user: UUID
) -> None:
    due_on = await far_day(database)
    await create(database, user, due_on)
    worker = make()
    async with keeping(worker, database):
        await has_read(worker)
        await bring_forward(database, user, due_on, 0.4)
        await eventually(lambda: _holds_one(worker), 5, "it is held")
        await wish(database, user, 60)

        async def was_tried() -> bool:
            return len(worker.window) == 0

        await eventually(was_tried, 5, "its old instant has come")
        assert await count_fired(database) == 0


async def _holds_one(worker: object) -> bool:
    return len(getattr(worker, "window")) == 1  # noqa: B009 - its type reads settings when imported


async def test_what_moved_while_nobody_heard_is_read_when_they_hear_again(
    make: Make, database: Database, user: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection loses its notifications, and the next one reads everything."""
    monkeypatch.setattr(replanned, "CHECK_S", 0.1)
    due_on = await far_day(database)
    await create(database, user, due_on)
    worker = make()
    async with keeping(worker, database):
        await has_read(worker)
        assert len(await database.fetch(_DEAFEN)) == 1
        await bring_forward(database, user, due_on, 1.5)
        rows = await all_fired(database, 1, 5)
    assert lateness_s(rows)[0] < HEARD_S_MAX


async def test_what_nobody_was_told_of_is_found_by_the_sweep_and_is_no_lost_event(
    make: Make,
    worker_module: ModuleType,
    database: Database,
    user: UUID,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The event that was consumed is of a version before the plan's."""

    @asynccontextmanager
    async def deaf(_: Database, wake: asyncio.Event) -> AsyncIterator[Replanned]:
        yield Replanned(wake)

    monkeypatch.setattr(worker_module, "hear_replanned", deaf)
    due_on = await far_day(database)
    await create(database, user, due_on)
    worker = make()
    consumed, other = swept()
    async with keeping(worker, database):
        await has_read(worker)
        await tell(worker, database)
        await bring_forward(database, user, due_on, 0.1)
        rows = await all_fired(database, 1, 5)
    assert 1 <= lateness_s(rows)[0] < 2
    assert swept() == (consumed, other + 1)


async def test_more_users_than_are_kept_by_name_count_as_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And so does what is no user's id."""
    monkeypatch.setattr(replanned, "USERS_MAX", 2)
    users = [new_id() for _ in range(3)]
    one = Replanned(asyncio.Event())
    for user_id in users[:2]:
        one.note(str(user_id))
    assert one.wake.is_set()
    assert (one.take(), one.everything) == (set(users[:2]), False)
    for user_id in users:
        one.note(str(user_id))
    assert (one.take(), one.everything) == (set(), True)
    other = Replanned(asyncio.Event())
    other.note("everybody")
    assert other.everything
