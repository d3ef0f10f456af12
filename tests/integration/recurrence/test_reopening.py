"""A user is told that a successor stays though its task was reopened: once for each reopening."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from schemas.notifications import Notification
from schemas.tasks import Task
from streams.domain.skipping import skip
from streams.domain.zones import zone_named
from streams.store.notifications import count_unread, list_notifications
from streams.store.tasks import lock_task
from tests.recurrence_world import RecurrenceWorld
from tests.waiting import eventually

WORKERS = 3
DAILY = {"recurrence_pattern": "daily", "due_date": "2027-01-04"}


async def notices(world: RecurrenceWorld, task: Task) -> Sequence[Notification]:
    return await list_notifications(world.database, task.user_id, None, 100, unread_only=False)


async def touched(world: RecurrenceWorld) -> tuple[Task, Task]:
    """Give a completed task and its successor, which its user has changed."""
    task = await world.create(await world.user(), **DAILY)
    await world.complete(task)
    await world.settle()
    _, successor = await world.series(task)
    await world.patch(successor, title="Mine")
    await world.settle()
    return task, successor


async def test_it_is_in_the_list_and_on_the_users_topic(world: RecurrenceWorld) -> None:
    task, successor = await touched(world)
    await world.reopen(task)
    (reopened,) = await world.publish()
    await world.work([reopened])
    (notice,) = await notices(world, task)
    assert (notice.type, notice.event_id) == ("taskflow.task.reopened", reopened.envelope.id)
    assert (notice.task_id, notice.read_at) == (task.id, None)
    assert notice.title == "Both are kept: Water"
    for said in ("due on 2027-01-04", "“Mine”, due on 2027-01-05", "stays as it is"):
        assert said in notice.body
    assert await count_unread(world.database, task.user_id) == 1
    assert await world.publish() == []
    (event,) = world.beside
    assert event.envelope.type == "taskflow.notification.sent"
    assert (event.envelope.partitionkey, event.envelope.subject) == (task.user_id, str(task.id))
    assert event.envelope.data == {
        "notification_id": str(notice.id),
        "channel": "in-app",
        "channel_id": None,
        "task_id": str(task.id),
    }
    assert [one.id for one in await world.series(task)] == [task.id, successor.id]


async def test_it_is_said_once_however_often_the_events_come(world: RecurrenceWorld) -> None:
    """One by one, the whole log again, and after a later edit."""
    task, _ = await touched(world)
    await world.reopen(task)
    await world.settle()
    for event in list(world.log):
        await world.work([event])
    await world.work(world.log[::-1])
    await world.patch(task, title="Water more")
    await world.settle()
    await world.work(world.log)
    assert len(await notices(world, task)) == 1
    assert len(world.beside) == 1


async def test_workers_at_once_say_it_once(world: RecurrenceWorld) -> None:
    """Even if nothing fenced those that lost their partition: all have read before one writes."""
    task, _ = await touched(world)
    await world.reopen(task)
    events = await world.publish()

    async def all_wait() -> bool:
        row = await world.database.fetchrow(
            "SELECT count(*) AS n FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return row is not None and int(row["n"]) == WORKERS

    async with world.database.transaction() as session:
        await lock_task(session, task.user_id, task.id)
        working = [asyncio.create_task(world.work(events)) for _ in range(WORKERS)]
        await eventually(all_wait, 3, "all workers wait for the task")
    await asyncio.gather(*working)
    await world.publish()
    assert (len(await notices(world, task)), len(world.beside)) == (1, 1)


async def test_it_is_not_said_again_of_what_was_forgotten(world: RecurrenceWorld) -> None:
    """Notifications are pruned: that the user was told is known without them."""
    task, _ = await touched(world)
    await world.reopen(task)
    await world.settle()
    await world.database.fetch("DELETE FROM notifications")
    await world.work(world.log)
    await world.patch(task, title="Water more")
    await world.settle()
    assert await notices(world, task) == []


@pytest.mark.parametrize("statements", range(1, 9))
async def test_a_worker_that_dies_has_said_nothing_and_then_says_it(
    world: RecurrenceWorld, statements: int
) -> None:
    task, _ = await touched(world)
    await world.reopen(task)
    events = await world.publish()
    await world.die(events, statements)
    assert await notices(world, task) == []
    await world.publish()
    assert world.beside == []
    await world.work(events)
    await world.publish()
    assert (len(await notices(world, task)), len(world.beside)) == (1, 1)


async def test_each_reopening_is_said(world: RecurrenceWorld) -> None:
    task, _ = await touched(world)
    for _ in range(2):
        await world.reopen(task)
        await world.settle()
        await world.complete(task)
        await world.settle()
    assert len({one.event_id for one in await notices(world, task)}) == 2


async def test_it_is_said_though_the_task_was_changed_before_the_worker_came(
    world: RecurrenceWorld,
) -> None:
    """Also if the reopening and the change come in two batches; not if it is completed by then."""
    edited, completed = [(await touched(world))[0] for _ in range(2)]
    for task in (edited, completed):
        await world.reopen(task)
    early = await world.publish()
    await world.patch(edited, title="Water more")
    await world.complete(completed)
    await world.work(early)
    assert await notices(world, edited) == []
    await world.settle()
    (notice,) = await notices(world, edited)
    (event,) = [one for one in early if one.envelope.subject == str(edited.id)]
    assert notice.event_id == event.envelope.id
    assert await notices(world, completed) == []


async def test_a_successor_that_is_withdrawn_or_deleted_is_nothing_to_speak_of(
    world: RecurrenceWorld,
) -> None:
    """Neither then, nor when somebody brings it back and edits the task."""
    withdrawn = await world.create(await world.user(), **DAILY)
    await world.complete(withdrawn)
    await world.settle()
    deleted, successor = await touched(world)
    await world.delete(successor)
    await world.settle()
    for task in (withdrawn, deleted):
        await world.reopen(task)
        await world.settle()
        second = (await world.series(task, deleted_too=True))[1]
        await world.database.fetch(
            "UPDATE tasks SET deleted_at = NULL, version = version + 1 WHERE id = $1", second.id
        )
        await world.patch(task, title="Water more")
        await world.settle()
        assert await notices(world, task) == []


async def test_a_task_that_was_never_completed_is_nothing_to_speak_of(
    world: RecurrenceWorld,
) -> None:
    """Skipped, edited, or completed again: only a reopening leaves two that are open."""
    task, successor = await touched(world)
    await world.patch(task, title="Water more")
    await world.settle()
    await world.write(successor, lambda one, now: skip(one, now.date(), zone_named("UTC")))
    await world.settle()
    assert await notices(world, task) == []


async def test_a_reopening_by_status_is_said_too(world: RecurrenceWorld) -> None:
    task, _ = await touched(world)
    world.now = datetime(2027, 1, 5, tzinfo=UTC)
    await world.patch(task, status="pending", title="Water more")
    await world.settle()
    (notice,) = await notices(world, task)
    assert notice.title == "Both are kept: Water more"
