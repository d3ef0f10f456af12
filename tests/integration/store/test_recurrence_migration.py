"""Tasks from before there were anchors keep what they are, and count from their due day."""

from uuid import UUID

import pytest

from schemas.ids import new_id
from schemas.tasks import Task
from streams.store.database import Database
from streams.store.migrations import migrate_down, migrate_up
from streams.store.tasks import find_task

_TASK = """
    INSERT INTO tasks (id, user_id, title, due_date, recurrence_pattern, created_at, updated_at)
    VALUES ($1, $2, 'old', '2027-01-31', $3, clock_timestamp(), clock_timestamp())"""


@pytest.mark.parametrize(("pattern", "anchored"), [("monthly", True), ("none", False)])
async def test_an_older_task_counts_from_its_due_day(
    database: Database, pattern: str, *, anchored: bool
) -> None:
    await migrate_down(database, 4)
    user_id, task_id = new_id(), new_id()
    await database.fetch(
        "INSERT INTO users (id, email, email_key, password_hash)"
        " VALUES ($1, 'a@b.c', 'a@b.c', 'none')",
        user_id,
    )
    await database.fetch(_TASK, task_id, user_id, pattern)
    await migrate_up(database)
    task = await found(database, user_id, task_id)
    assert task.recurrence_anchor == (task.due_date if anchored else None)
    assert (task.recurrence_rule, task.recurrence_catch_up, task.version) == (None, "none", 1)
    await migrate_down(database, 4)
    await migrate_up(database)
    assert await found(database, user_id, task_id) == task


async def found(database: Database, user_id: UUID, task_id: UUID) -> Task:
    task = await find_task(database, user_id, task_id)
    assert task is not None
    return task
