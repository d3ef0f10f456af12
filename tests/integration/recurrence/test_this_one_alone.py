"""An edit of one occurrence alone does not reach its successor, by way of the tables."""

from datetime import UTC, date, datetime

import pytest

from schemas.reminders import ReminderCreate
from schemas.tasks import Scope, Task
from streams.domain import tasks as domain
from streams.domain.skipping import preview, skip
from streams.domain.zones import zone_named
from streams.store.task_reminders import insert_reminder, list_reminders
from streams.store.tasks import find_task
from tests.recurrence_world import RecurrenceWorld

THIS = Scope.THIS
WEEKLY = {
    "recurrence_pattern": "weekly",
    "due_date": "2027-01-04",
    "remind_at": "2027-01-04T16:00:00Z",
    "tags": ["home"],
    "description": "the plants",
}
ALONE = {
    "title": "Feed",
    "description": None,
    "priority": "urgent",
    "tags": ["work"],
    "due_date": "2027-01-06",
    "remind_at": "2027-01-06T18:00:00Z",
}
SHOWN = {"title", "description", "priority", "tags", "due_date", "remind_at", "occurrence_only"}
AS_BEFORE = {
    "title": "Water",
    "description": "the plants",
    "priority": "medium",
    "tags": ("home",),
    "due_date": date(2027, 1, 11),
    "remind_at": datetime(2027, 1, 11, 16, tzinfo=UTC),
    "occurrence_only": (),
}


async def found(world: RecurrenceWorld, task: Task) -> Task:
    again = await find_task(world.database, task.user_id, task.id)
    assert again is not None
    return again


async def test_what_follows_is_as_if_there_had_been_no_edit(world: RecurrenceWorld) -> None:
    """Whether the edit comes before completion or after it, or between two completions."""
    for order in ("edit complete", "complete edit", "complete reopen edit complete"):
        task = await world.create(await world.user(), **WEEKLY)
        for step in order.split():
            if step == "edit":
                await world.patch(task, THIS, **ALONE)
            else:
                await getattr(world, step)(task)
            await world.settle()
        first, second = await world.series(task)
        assert first.title == "Feed"
        assert first.occurrence_only == tuple(sorted(ALONE))
        assert second.model_dump(include=SHOWN) == AS_BEFORE
        assert second.version == (3 if "reopen" in order else 1)


async def test_the_table_keeps_what_the_series_has(world: RecurrenceWorld) -> None:
    """Through every write of something else: completed, reopened, deleted, brought back, edited."""
    task = await world.create(await world.user(), **WEEKLY)
    edited = await world.patch(task, THIS, title="Feed", due_date="2027-01-06")
    for write in (world.complete, world.reopen, world.delete):
        written = await write(task)
        assert written.series_values == edited.series_values is not None
        assert written.occurrence_only == ("due_date", "title")
    await world.database.fetch("UPDATE tasks SET deleted_at = NULL WHERE id = $1", task.id)
    later = await world.patch(task, priority="high")
    assert later.series_values == edited.series_values
    await world.complete(task)
    await world.settle()
    _, second = await world.series(task)
    assert (second.title, second.priority, second.due_date) == ("Water", "high", date(2027, 1, 11))


async def test_a_later_edit_for_all_reaches_a_successor_that_is_there(
    world: RecurrenceWorld,
) -> None:
    """The one of another field leaves the first as it is."""
    task = await world.create(await world.user(), **WEEKLY)
    await world.patch(task, THIS, title="Feed", priority="high")
    await world.complete(task)
    await world.settle()
    await world.patch(task, title="Feed")
    await world.settle()
    first, second = await world.series(task)
    assert first.occurrence_only == ("priority",)
    assert (second.title, second.priority) == ("Feed", "medium")


async def test_an_edit_of_a_successor_alone_counts_as_touched(world: RecurrenceWorld) -> None:
    task = await world.create(await world.user(), **WEEKLY)
    await world.complete(task)
    await world.settle()
    _, second = await world.series(task)
    await world.patch(second, THIS, title="Feed")
    await world.reopen(task)
    await world.settle()
    assert [one.title for one in await world.series(task)] == ["Water", "Feed"]


async def test_a_successor_has_tags_and_further_reminders_of_the_series(
    world: RecurrenceWorld,
) -> None:
    """A reminder at an instant is as far from its day as it was from the day of the series."""
    fields = WEEKLY | {"due_date": "2099-01-05", "remind_at": None}
    task = await world.create(await world.user(), **fields)
    async with world.database.transaction() as session:
        at = datetime(2099, 1, 4, 8, tzinfo=UTC)
        await insert_reminder(session, task, ReminderCreate(at=at))
    await world.patch(task, THIS, due_date="2099-01-07", tags=[])
    await world.complete(task)
    await world.settle()
    _, second = await world.series(task)
    assert second.tags == ("home",)
    reminders = await list_reminders(world.database, second)
    named = [one.at for one in reminders if one.at is not None]
    assert named == [datetime(2099, 1, 11, 8, tzinfo=UTC)]


@pytest.mark.parametrize("mode", ["due", "completion"])
async def test_a_preview_is_what_is_made(world: RecurrenceWorld, mode: str) -> None:
    """Of one that was moved within its week, and beyond the next day of the rule."""
    for moved_to, clock in (("2027-01-06", 6), ("2027-01-13", 13)):
        world.now = datetime(2027, 1, 4, 12, tzinfo=UTC)
        task = await world.create(await world.user(), **WEEKLY | {"recurrence_mode": mode})
        moved = await world.patch(task, THIS, due_date=moved_to)
        shown = list(preview(moved, world.now, zone_named("UTC"), 3))
        world.now = datetime(2027, 1, clock, 12, tzinfo=UTC)
        await world.complete(task)
        await world.settle()
        first, second = await world.series(task)
        assert (second.occurrence, second.due_date, second.remind_at) == shown[0]
        assert first.next_occurrence == second.due_date
        assert list(preview(second, world.now, zone_named("UTC"), 2)) == shown[1:]


async def test_skipping_and_ending_leave_nothing_of_it(world: RecurrenceWorld) -> None:
    user, utc = await world.user(), zone_named("UTC")
    skipped, ended = [await world.create(user, **WEEKLY) for _ in range(2)]
    for task in (skipped, ended):
        await world.patch(task, THIS, title="Feed", due_date="2027-01-06")
    moved = await world.write(skipped, lambda one, now: skip(one, now.date(), utc))
    assert moved.model_dump(include=SHOWN) == AS_BEFORE
    assert moved.series_values is None
    last = await world.write(ended, domain.end_series)
    assert (last.title, last.occurrence_only, last.series_values) == ("Feed", (), None)
