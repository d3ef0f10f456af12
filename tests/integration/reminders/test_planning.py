"""The plan follows the task, whoever writes it: also a worker, an import or an operator."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from schemas.ids import new_id
from streams.store.database import Database
from tests.integration.reminders.test_firing import create, planned
from tests.reminder_world import database_now

_DUE = """
    INSERT INTO tasks (id, user_id, title, due_date, created_at, updated_at)
    VALUES ($1, $2, 'a task', '2099-01-05', now(), now())"""

_REMINDER = """
    INSERT INTO reminders (id, user_id, task_id, kind, before_due_minutes, planned_version)
    VALUES ($1, $2, $3, 'before_due', $4, 1)"""


async def instants(database: Database, task_id: UUID) -> list[datetime | None]:
    rows = await database.fetch(
        "SELECT fires_at FROM reminders WHERE task_id = $1 ORDER BY fires_at", task_id
    )
    return [row["fires_at"] for row in rows]


@pytest.mark.parametrize("column", ["title", "priority", "description"])
async def test_what_does_not_decide_about_a_reminder_leaves_its_plan(
    database: Database, user: UUID, column: str
) -> None:
    """A snoozed one stays snoozed when its task is renamed."""
    task_id = await create(database, user, await database_now(database) + timedelta(hours=1))
    snoozed = await database_now(database) + timedelta(hours=2)
    await database.fetch("UPDATE reminders SET fires_at = $1", snoozed)
    await database.fetch(f"UPDATE tasks SET {column} = 'low' WHERE id = $1", task_id)
    assert [one.fires_at for one in await planned(database)] == [snoozed]


async def test_a_zone_that_the_server_does_not_know_counts_as_utc(
    database: Database, user: UUID
) -> None:
    await database.fetch("UPDATE users SET timezone = 'Moon/Crater'")
    task_id = new_id()
    await database.fetch(_DUE, task_id, user)
    await database.fetch(_REMINDER, new_id(), user, task_id, 0)
    await database.fetch("UPDATE tasks SET due_date = '2099-01-06' WHERE id = $1", task_id)
    assert [f"{at:%m-%d %H:%M}" for at in await instants(database, task_id) if at] == [
        "01-06 08:00",
        "01-06 09:00",
    ]


_CHANGES = {
    "completed": (
        "status = 'completed', completed_at = now()",
        "status = 'pending', completed_at = NULL",
    ),
    "deleted": ("deleted_at = now()", "deleted_at = NULL"),
}
_SET = {
    "remind_at": ("remind_at = '2099-01-05T07:00Z'", "01-05 07:00"),
    "due_date": ("due_date = '2099-01-05'", "01-05 08:00"),
}


@pytest.mark.parametrize("state", _CHANGES)
@pytest.mark.parametrize("column", _SET)
async def test_what_is_set_while_a_task_is_away_reminds_when_it_comes_back(
    database: Database, user: UUID, state: str, column: str
) -> None:
    """A reminder that is set while its task is completed or deleted waits for the task."""
    (go, come), (change, instant) = _CHANGES[state], _SET[column]
    task_id = await create(database, user, None)
    await database.fetch(f"UPDATE tasks SET {go} WHERE id = $1", task_id)
    await database.fetch(f"UPDATE tasks SET {change} WHERE id = $1", task_id)
    assert await instants(database, task_id) == [None]
    await database.fetch(f"UPDATE tasks SET {come} WHERE id = $1", task_id)
    assert [f"{at:%m-%d %H:%M}" for at in await instants(database, task_id) if at] == [instant]
