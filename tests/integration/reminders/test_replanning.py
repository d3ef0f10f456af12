"""What is planned follows its user's settings and zone, whoever writes at the same moment."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from time import monotonic
from uuid import UUID

import pytest

from schemas.ids import new_id
from schemas.reminders import ReminderCreate, ReminderSettings
from schemas.tasks import TaskFields
from streams.domain import tasks as domain
from streams.store.database import Database, Session, StoreError
from streams.store.reminders import REPLANNED, fire
from streams.store.task_reminders import insert_reminder, set_reminder_settings
from streams.store.tasks import find_task, insert_task, lock_task
from tests.integration.reminders.test_firing import ORIGIN, planned
from tests.reminder_world import database_now
from tests.waiting import eventually

DUE = date(2099, 1, 5)
MANY = 10_000

_MANY = """
    INSERT INTO tasks (id, user_id, title, due_date, created_at, updated_at)
    SELECT gen_random_uuid(), $1, 'a task', $2, now(), now() FROM generate_series(1, $3)"""

_PLANNED = """
    SELECT fires_at, planned_version, version FROM reminders JOIN tasks ON tasks.id = task_id
     WHERE reminders.user_id = $1 ORDER BY fires_at"""


async def create(database: Database, user: UUID, due_date: date | None = DUE) -> UUID:
    fields = TaskFields(title="water the plants", due_date=due_date)
    change = domain.create(fields, await database_now(database))
    return (await insert_task(database, user, change, ORIGIN)).id


async def wish(database: Database | Session, user: UUID, minutes: int | None) -> None:
    await set_reminder_settings(
        database, user, ReminderSettings(default_before_due_minutes=minutes)
    )


async def hours(database: Database, user: UUID) -> list[str]:
    rows = await database.fetch(_PLANNED, user)
    return [f"{row['fires_at']:%m-%d %H:%M}" if row["fires_at"] else "-" for row in rows]


async def is_waiting(database: Database) -> bool:
    row = await database.fetchrow(
        "SELECT FROM pg_stat_activity WHERE datname = current_database()"
        " AND (wait_event_type = 'Lock' OR wait_event = 'PgSleep')"
    )
    return row is not None


async def test_another_zone_moves_what_counts_from_the_due_day(
    database: Database, user: UUID
) -> None:
    """Whoever writes it; whoever sees the next version's event knows of it, and nobody before."""
    await create(database, user)
    await database.fetch("UPDATE users SET timezone = 'Asia/Tokyo' WHERE id = $1", user)
    assert await hours(database, user) == ["01-04 23:00"]
    (row,) = await database.fetch(_PLANNED, user)
    assert row["planned_version"] == row["version"] + 1 == 2
    await database.fetch("UPDATE users SET timezone = 'Moon/Crater' WHERE id = $1", user)
    assert await hours(database, user) == ["01-05 08:00"]


async def test_what_is_overdue_stands_and_fires_whatever_its_user_wishes_by_then(
    database: Database, user: UUID
) -> None:
    """As it does for those who were away when it fell due."""
    yesterday = await database_now(database) - timedelta(days=1)
    task_id = await create(database, user, yesterday.date())
    overdue = datetime.combine(yesterday, time(8), yesterday.tzinfo)
    await database.fetch("UPDATE reminders SET fires_at = $1", overdue)
    await wish(database, user, 120)
    await wish(database, user, None)
    batch = await planned(database)
    assert [one.fires_at for one in batch] == [overdue]
    await fire(database, batch)
    await wish(database, user, 30)
    assert await hours(database, user) == ["-"], "what has fired is not planned anew"
    rows = await database.fetch("SELECT task_id FROM reminder_firings")
    assert [row["task_id"] for row in rows] == [task_id]


_INSERT = """
    INSERT INTO tasks (id, user_id, title, due_date, created_at, updated_at)
    VALUES ($1, $2, 'a task', '2099-01-05', now(), now())"""
_GIVE_A_DAY = "UPDATE tasks SET due_date = '2099-01-05', version = 2 WHERE id = $1"
_REOPEN = "UPDATE tasks SET status = 'pending', completed_at = NULL, version = 3 WHERE id = $1"


@pytest.mark.parametrize("write", ["insert", "give a day", "move", "reopen", "remind"])
async def test_a_write_that_is_not_committed_yet_is_replanned_when_it_is(
    database: Database, user: UUID, write: str
) -> None:
    """It has seen the old wish, and the new one has not seen it: one of both waits."""
    task_id = await create(database, user, None if write in ("give a day", "insert") else DUE)
    if write == "reopen":
        await database.fetch("UPDATE tasks SET status = 'completed', completed_at = now()")
    if write == "remind":
        await database.fetch("DELETE FROM reminders")
    async with database.transaction() as session:
        if write == "insert":
            await session.fetch(_INSERT, new_id(), user)
        elif write == "remind":
            await lock_task(session, user, task_id)
            task = await find_task(session, user, task_id)
            assert task is not None
            await insert_reminder(session, task, ReminderCreate(before_due_minutes=60))
        else:
            await session.fetch(_REOPEN if write == "reopen" else _GIVE_A_DAY, task_id)
        quiet = ReminderSettings.model_validate({"quiet_from": "01:00", "quiet_until": "08:30"})
        wishing = asyncio.create_task(set_reminder_settings(database, user, quiet))
        done, _ = await asyncio.wait({wishing}, timeout=0.2)
        assert not done
    await asyncio.wait_for(wishing, 5)
    assert await hours(database, user) == ["01-05 08:30"]


async def test_a_write_that_comes_while_all_is_replanned_sees_the_new_wish(
    database: Database, user: UUID
) -> None:
    """It waits with its task held, and neither of both is refused."""
    task_id = await create(database, user, None)
    await create(database, user)
    async with database.transaction() as session:
        await wish(session, user, 120)
        giving = asyncio.create_task(database.fetch(_GIVE_A_DAY, task_id))
        await eventually(lambda: is_waiting(database), 5, "the write waits for its user")
    await asyncio.wait_for(giving, 5)
    assert await hours(database, user) == ["01-05 07:00"] * 2


async def test_whoever_has_a_task_and_wants_its_user_is_never_waited_for_with_the_user_held(
    database: Database, user: UUID
) -> None:
    """No deadlock, whose loser would be refused: the wish lets go, and tries again."""
    task_id = await create(database, user)
    async with database.transaction() as session:
        await lock_task(session, user, task_id)
        wishing = asyncio.create_task(wish(database, user, 120))
        await eventually(lambda: is_waiting(database), 5, "the wish has met the task")
        await session.fetch("SELECT FROM users WHERE id = $1 FOR KEY SHARE", user)
    await asyncio.wait_for(wishing, 5)
    assert await hours(database, user) == ["01-05 07:00"]


async def test_wishes_and_writes_by_many_at_once_all_get_through(
    database: Database, user: UUID
) -> None:
    """And in the end each task's reminder stands where the last wish has it."""
    tasks = [await create(database, user) for _ in range(10)]

    async def move(task_id: UUID) -> None:
        for day in range(1, 15):
            await database.fetch(
                "UPDATE tasks SET due_date = $2, version = version + 1 WHERE id = $1",
                task_id,
                DUE.replace(day=day),
            )

    async def wish_again() -> None:
        for minutes in (*range(10), 60):
            await wish(database, user, minutes)

    await asyncio.gather(wish_again(), *map(move, tasks))
    assert await hours(database, user) == ["01-14 08:00"] * 10


async def test_a_task_that_is_held_too_long_fails_the_wish_and_changes_nothing(
    database: Database, user: UUID
) -> None:
    task_id = await create(database, user)
    async with database.transaction() as session:
        await lock_task(session, user, task_id)
        began_at = monotonic()
        with pytest.raises(StoreError) as raised:
            await wish(database, user, 120)
        assert raised.value.fault.name == "TRANSIENT"
        assert monotonic() - began_at < 5
    assert await hours(database, user) == ["01-05 08:00"]
    assert await database.fetch("SELECT FROM reminder_settings") == []


async def told(database: Database, changes: Sequence[str]) -> list[str]:
    """Give the notifications that statements cause."""
    heard: list[str] = []

    async def the_end() -> bool:
        return "the end" in heard

    async with database.hearing(REPLANNED, heard.append):
        for change in changes:
            await database.fetch(change)
        await database.fetch("SELECT pg_notify($1, 'the end')", REPLANNED)
        await eventually(the_end, 5, "the end is heard")
    return heard[:-1]


async def test_who_listens_is_told_the_user_if_something_has_moved(
    database: Database, user: UUID
) -> None:
    await create(database, user)
    quiet = "UPDATE reminder_settings SET quiet_from = '01:00', quiet_until = '{}'"
    await wish(database, user, 60)
    assert await told(database, [quiet.format("07:00"), quiet.format("08:00")]) == []
    assert await told(database, [quiet.format("09:00")]) == [str(user)]


@pytest.mark.parametrize("change", ["default", "zone"])
async def test_ten_thousand_tasks_of_one_user_are_replanned_within_a_second(
    database: Database, user: UUID, change: str
) -> None:
    """Every one of them, in one statement, with its locks."""
    await database.fetch(_MANY, user, DUE, MANY)
    await database.fetch("ANALYZE")
    took_s: list[float] = []
    for minutes, zone in ((120, "Asia/Tokyo"), (60, "UTC"), (120, "Asia/Tokyo")):
        began_at = monotonic()
        if change == "default":
            await wish(database, user, minutes)
        else:
            await database.fetch("UPDATE users SET timezone = $2 WHERE id = $1", user, zone)
        took_s.append(monotonic() - began_at)
    print(f"\n{MANY} replanned in", ", ".join(f"{one:.2f} s" for one in took_s))
    moved = "01-05 07:00" if change == "default" else "01-04 23:00"
    assert await hours(database, user) == [moved] * MANY
    assert min(took_s) < 1
