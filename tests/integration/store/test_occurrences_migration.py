"""Tasks from before an edit could hold for one occurrence alone differ from no series."""

from schemas.tasks import Scope
from streams.store.database import Database
from streams.store.migrations import load_migrations, migrate_down, migrate_up
from streams.store.tasks import find_task
from tests.recurrence_world import RecurrenceWorld


async def nothing(*_: object) -> None:
    """Apply nothing: no worker runs."""


async def test_going_back_keeps_each_occurrence_as_its_user_has_it(database: Database) -> None:
    """And forgets what its series had: what follows it inherits from it again."""
    world = RecurrenceWorld(database, nothing)
    task = await world.create(await world.user(), recurrence_pattern="daily", due_date="2027-01-04")
    edited = await world.patch(task, Scope.THIS, title="Feed")
    assert edited.series_values is not None
    (step,) = [one for one in load_migrations() if one.name == "occurrences"]
    await migrate_down(database, step.number - 1)
    await migrate_up(database)
    found = await find_task(database, task.user_id, task.id)
    assert found == edited.model_copy(update={"occurrence_only": ()}).with_series_values(None)
