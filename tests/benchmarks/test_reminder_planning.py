"""What a default reminder costs the write of its task."""

from datetime import date
from statistics import median
from time import perf_counter
from uuid import UUID

import pytest

from schemas.tasks import TaskFields
from streams.domain import tasks as domain
from streams.store.database import Database, open_database
from streams.store.migrations import migrate_down
from streams.store.tasks import insert_task
from tests.integration.reminders.test_firing import ORIGIN
from tests.reminder_world import database_now, make_users
from tests.servers import Servers

TASKS, AT_A_TIME = 2_000, 100
RATIO_MAX = 1.3
BEFORE_DEFAULTS = 9
"""The last migration without reminders by default."""


async def create_some(database: Database, user: UUID) -> float:
    """Create tasks with a due date one after another; give how long that took."""
    fields = TaskFields(title="water the plants", due_date=date(2099, 1, 5))
    now = await database_now(database)
    began_at = perf_counter()
    for _ in range(AT_A_TIME):
        await insert_task(database, user, domain.create(fields, now), ORIGIN)
    return perf_counter() - began_at


@pytest.mark.long
async def test_a_default_reminder_costs_little_of_its_tasks_write(
    database: Database, servers: Servers, template: str
) -> None:
    """By turns with and without, so that both have the same machine."""
    url = servers.postgres.make_database("before_defaults", template)
    async with open_database(url) as without:
        await migrate_down(without, BEFORE_DEFAULTS)
        taken: dict[Database, list[float]] = {without: [], database: []}
        users = {one: (await make_users(one, 1))[0] for one in taken}
        for _ in range(TASKS // AT_A_TIME):
            for one, times in taken.items():
                times.append(await create_some(one, users[one]))
    before_s, after_s = (sum(times) for times in taken.values())
    ratios = [after / before for before, after in zip(*taken.values(), strict=True)]
    rows = await database.fetch("SELECT FROM reminders WHERE by_default")
    assert len(rows) == TASKS
    print(
        f"\n{TASKS} tasks with a due date: {before_s:.2f} s without reminders by default,", end=" "
    )
    print(f"{after_s:.2f} s with: {after_s / before_s:.2f} (median of turns {median(ratios):.2f})")
    assert after_s / before_s < RATIO_MAX
