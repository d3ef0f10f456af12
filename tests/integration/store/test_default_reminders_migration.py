"""Tasks from before there was a default for everybody get no new reminders by it."""

from uuid import UUID

from schemas.ids import new_id
from streams.store.database import Database
from streams.store.migrations import migrate_down, migrate_up
from tests.reminder_world import make_users

_TASK = """
    INSERT INTO tasks (id, user_id, title, due_date, created_at, updated_at)
    VALUES ($1, $2, 'old', '2099-01-31', clock_timestamp(), clock_timestamp())"""
_SETTINGS = """
    INSERT INTO reminder_settings (user_id, default_before_due_minutes, quiet_from, quiet_until)
    VALUES ($1, $2, '22:00', '07:00')"""
_REMINDER = """
    INSERT INTO reminders
        (id, user_id, task_id, kind, before_due_minutes, planned_version, fires_at)
    VALUES ($1, $2, $3, 'before_due', 30, 1, '2099-01-31 08:30+00')"""
_FIRED = """
    INSERT INTO reminder_firings
        (reminder_id, fires_at, user_id, task_id, fired_at, late, event_id)
    SELECT id, instant, user_id, task_id, instant, false, gen_random_uuid()
      FROM reminders CROSS JOIN unnest($2::timestamptz[]) AS instant WHERE id = $1"""


async def state(database: Database, user: UUID) -> list[tuple[int, bool, str]]:
    rows = await database.fetch(
        "SELECT before_due_minutes, by_default, fires_at FROM reminders WHERE user_id = $1"
        " ORDER BY before_due_minutes",
        user,
    )
    return [
        (row["before_due_minutes"], row["by_default"], f"{row['fires_at']:%d %H:%M}")
        for row in rows
    ]


async def test_what_a_default_has_made_is_told_from_what_a_user_has(database: Database) -> None:
    """Each keeps its instant; a user who had none gets none, until a task gets a due date."""
    await migrate_down(database, 9)
    none, some, off = await make_users(database, 3)
    await database.fetch(_SETTINGS, some, 90)
    await database.fetch(_SETTINGS, off, None)
    for user in (none, some, off):
        task_id = new_id()
        await database.fetch(_TASK, task_id, user)
        if user == some:
            await database.fetch(_REMINDER, new_id(), user, task_id)
    await migrate_up(database)
    assert await state(database, none) == await state(database, off) == []
    assert await state(database, some) == [(30, False, "31 08:30"), (90, True, "31 07:30")]
    for user in (none, off):
        await database.fetch(_TASK, new_id(), user)
    assert await state(database, none) == [(60, True, "31 08:00")]
    assert await state(database, off) == [], "null was shown to this user, and is off"


async def test_when_each_fired_last_is_known_of_those_that_had_fired(database: Database) -> None:
    """And down again the plan is made as it was."""
    await migrate_down(database, 9)
    (user,) = await make_users(database, 1)
    task_id, reminder_id = new_id(), new_id()
    await database.fetch(_TASK, task_id, user)
    await database.fetch(_REMINDER, reminder_id, user, task_id)
    rows = await database.fetch(
        "SELECT now() - n * interval '1 day' AS at FROM unnest('{1,2}'::int[]) AS n"
    )
    await database.fetch(_FIRED, reminder_id, [row["at"] for row in rows])
    await migrate_up(database)
    (row,) = await database.fetch("SELECT fired_at FROM reminders")
    assert row["fired_at"] == max(row["at"] for row in rows)
    await migrate_down(database, 9)
    await database.fetch(_TASK, new_id(), user)
    assert len(await database.fetch("SELECT FROM reminders")) == 1
