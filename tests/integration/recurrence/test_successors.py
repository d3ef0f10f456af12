"""A completed recurring task has exactly one successor, whoever repeats, races or crashes."""

import asyncio
import random
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

import pytest

from schemas.reminders import ReminderCreate, ReminderSettings
from schemas.tasks import Task
from streams.domain.succession import successor_id
from streams.store.task_reminders import (
    insert_reminder,
    list_reminders,
    set_reminder_settings,
)
from streams.store.tasks import lock_task
from tests.recurrence_world import RecurrenceWorld
from tests.waiting import eventually

DAILY = {"recurrence_pattern": "daily", "due_date": "2027-01-04"}


def days(tasks: Sequence[Task]) -> list[str]:
    return [str(task.due_date) for task in tasks]


async def test_the_next_one_inherits_all_and_has_an_event_of_the_worker(
    world: RecurrenceWorld,
) -> None:
    """Its id is that of the series and the number; its reminder is as far from its day."""
    task = await world.create(
        await world.user("Europe/Berlin"),
        description="the plants",
        priority="high",
        tags=["home", "Garden"],
        remind_at="2027-03-27T08:00:00Z",
        recurrence_pattern="daily",
        recurrence_catch_up="one",
        recurrence_rule="COUNT=9",
        due_date="2027-03-28",
    )
    await world.publish()
    await world.complete(task)
    await world.work()
    (event,) = await world.publish()
    made = Task.model_validate(event.envelope.data["task"])
    assert event.envelope.type == "taskflow.task.created"
    assert event.envelope.source == "/taskflow/recurrence"
    assert event.envelope.data["actor"] == {"kind": "worker", "id": "recurrence"}
    assert task.series_id is not None
    assert made.id == successor_id(task.series_id, 2)
    same = {
        "title", "description", "priority", "tags", "series_id", "recurrence_pattern",
        "recurrence_interval", "recurrence_mode", "recurrence_rule", "recurrence_catch_up",
        "recurrence_anchor", "user_id", "status",
    }  # fmt: skip
    assert made.model_dump(include=same) == task.model_dump(include=same)
    assert (made.due_date, made.occurrence, made.version) == (date(2027, 3, 29), 2, 1)
    assert made.next_occurrence == date(2027, 3, 30)
    # The clocks went forward in between: 09:00 stays 09:00.
    assert made.remind_at == datetime(2027, 3, 28, 7, tzinfo=UTC)


async def test_monthly_from_the_31st_keeps_the_31st(world: RecurrenceWorld) -> None:
    task = await world.create(
        await world.user(), recurrence_pattern="monthly", due_date="2027-01-31"
    )
    for _ in range(4):
        (pending,) = [one for one in await world.series(task) if not one.completed]
        await world.complete(pending)
        await world.settle()
    assert days(await world.series(task)) == [
        "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31",
    ]  # fmt: skip


async def test_events_that_come_again_change_nothing(world: RecurrenceWorld) -> None:
    """In one batch, in two, in any order, and the whole log from its start."""
    task = await world.create(await world.user(), **DAILY)
    await world.complete(task)
    await world.settle()
    before = await world.series(task)
    assert len(before) == 2
    log = list(world.log)
    await world.work(log * 3)
    await world.work(log[::-1])
    for event in log:
        await world.work([event])
    assert await world.series(task) == before
    assert await world.publish() == []


async def test_complete_reopen_complete_ends_with_one(world: RecurrenceWorld) -> None:
    """Whether the worker comes after each, or after all of them."""
    for settle in (world.settle, world.publish):
        task = await world.create(await world.user(), **DAILY)
        for write in (world.complete, world.reopen, world.complete):
            await write(task)
            await settle()
        await world.work(world.log)
        found = await world.series(task, deleted_too=True)
        assert days(found) == ["2027-01-04", "2027-01-05"]
        assert [one.deleted_at for one in found] == [None, None]


async def test_reopening_withdraws_a_successor_that_nobody_touched(world: RecurrenceWorld) -> None:
    """And completing brings the same one back, as the task is by then."""
    task = await world.create(await world.user(), **DAILY)
    await world.complete(task)
    await world.settle()
    await world.reopen(task)
    await world.work()
    (event,) = await world.publish()
    assert event.envelope.type == "taskflow.task.deleted"
    assert len(await world.series(task)) == 1
    await world.patch(task, title="Water twice", due_date="2027-01-06")
    await world.complete(task)
    await world.work()
    (event,) = await world.publish()
    assert event.envelope.type == "taskflow.task.restored"
    assert set(event.envelope.data["changed"]) == {
        "title", "due_date", "deleted_at", "recurrence_anchor", "next_occurrence",
    }  # fmt: skip
    _, back = await world.series(task)
    assert (back.title, str(back.due_date), back.version) == ("Water twice", "2027-01-07", 3)


@pytest.mark.parametrize("touch", ["patch", "complete", "delete"])
async def test_a_successor_that_was_touched_is_left_as_it_is(
    world: RecurrenceWorld, touch: str
) -> None:
    task = await world.create(await world.user(), **DAILY)
    await world.complete(task)
    await world.settle()
    _, successor = await world.series(task)
    if touch == "patch":
        await world.patch(successor, title="Mine")
    else:
        await getattr(world, touch)(successor)
    await world.settle()
    before = await world.series(task, deleted_too=True)
    for write in (world.reopen, world.complete):
        await write(task)
        await world.settle()
    after = await world.series(task, deleted_too=True)
    assert after[1:] == before[1:]


async def test_what_is_changed_after_completion_reaches_a_successor_that_nobody_touched(
    world: RecurrenceWorld,
) -> None:
    """So it does not matter whether the worker came before the change or after it."""
    found = []
    for settle in (world.settle, world.publish):
        task = await world.create(await world.user(), **DAILY)
        await world.complete(task)
        await settle()
        await world.patch(task, title="Water more", tags=["x"], recurrence_interval=3)
        await world.work(await world.publish())
        _, successor = await world.series(task)
        found.append(successor.model_dump(include={"title", "tags", "due_date"}))
    assert found[0] == found[1]
    assert found[0] == {"title": "Water more", "tags": ("x",), "due_date": date(2027, 1, 7)}


async def test_deleting_keeps_what_completing_made_and_ending_withdraws_it(
    world: RecurrenceWorld,
) -> None:
    user = await world.user()
    deleted, ended, never = [await world.create(user, **DAILY) for _ in range(3)]
    for task in (deleted, ended):
        await world.complete(task)
        await world.settle()
    await world.delete(deleted)
    await world.patch(ended, recurrence_pattern="none")
    await world.delete(never)
    await world.settle()
    assert [one.occurrence for one in await world.series(deleted)] == [2]
    assert await world.series(ended) == []
    assert await world.series(never) == []


async def test_a_killed_batch_leaves_nothing_and_is_done_whole_the_next_time(
    world: RecurrenceWorld,
) -> None:
    """Whichever statement it dies in."""
    user = await world.user()
    tasks = [await world.create(user, tags=["a", f"t{n}"], **DAILY) for n in range(5)]
    await world.publish()
    for task in tasks:
        await world.complete(task)
    events = await world.publish()
    dice = random.Random(7)
    for _ in range(10):
        await world.die(events, dice.randint(1, 12))
        assert await world.publish() == []
    await world.work(events)
    for task in tasks:
        assert len(await world.series(task)) == 2


async def test_two_workers_at_once_make_one(world: RecurrenceWorld) -> None:
    """Even if nothing fenced the one that lost its partition."""
    user = await world.user()
    tasks = [await world.create(user, tags=["b", "a"], **DAILY) for _ in range(20)]
    for task in tasks:
        await world.complete(task)
    events = await world.publish()
    await asyncio.gather(*(world.work(events) for _ in range(4)))
    assert len(await world.publish()) == len(tasks)
    for task in tasks:
        assert len(await world.series(task)) == 2


async def test_the_worker_and_those_who_write_at_once_never_wait_in_a_circle(
    world: RecurrenceWorld,
) -> None:
    """Both lock tasks before tags, and tags in one order, of whichever task they are."""
    user = await world.user()
    names = [f"t{n:02}" for n in range(40)]
    tasks = [await world.create(user, tags=[name], **DAILY) for name in names[::-1] * 3]
    for task in tasks:
        await world.complete(task)
    await world.publish()
    events = [event for event in world.log if event.envelope.type.endswith("completed")]
    batches = [events[n : n + len(names)] for n in range(0, len(events), len(names))]

    async def write(begin: int) -> None:
        other = await world.create(user)
        for n in range(begin, begin + 20):
            await world.create(user, tags=(names * 2)[n % 40 :][:20])
            await world.patch(other, tags=(names * 2)[(n + 7) % 40 :][:20])

    async def work() -> None:
        for batch in batches:
            await world.work(batch)

    async with asyncio.timeout(30):
        await asyncio.gather(work(), *(write(5 * n) for n in range(7)))
    for task in tasks:
        assert len(await world.series(task)) == 2


async def test_the_worker_waits_for_whoever_writes_the_task_just_now(
    world: RecurrenceWorld,
) -> None:
    """And then sees what was written: the task is newer than its event, so nothing is done."""
    task = await world.create(await world.user(), **DAILY)
    await world.complete(task)
    events = await world.publish()

    async def somebody_waits() -> bool:
        row = await world.database.fetchrow(
            "SELECT count(*) AS n FROM pg_locks WHERE NOT granted AND database ="
            " (SELECT oid FROM pg_database WHERE datname = current_database())"
            " OR NOT granted AND locktype = 'transactionid'"
        )
        return row is not None and int(row["n"]) > 0

    async with world.database.transaction() as session:
        await lock_task(session, task.user_id, task.id)
        working = asyncio.create_task(world.work(events))
        await eventually(somebody_waits, 4, "the worker waits")
        await session.fetch("UPDATE tasks SET version = version + 1 WHERE id = $1", task.id)
    await working
    assert len(await world.series(task)) == 1


async def test_of_a_task_that_has_changed_since_nothing_is_done_until_that_event_comes(
    world: RecurrenceWorld,
) -> None:
    task = await world.create(await world.user(), **DAILY)
    await world.complete(task)
    early = await world.publish()
    await world.patch(task, title="Water more")
    await world.work(early)
    assert len(await world.series(task)) == 1
    await world.settle()
    assert [one.title for one in await world.series(task)] == ["Water more"] * 2


async def test_what_was_missed_is_made_up_for_as_the_task_says(world: RecurrenceWorld) -> None:
    user = await world.user("Pacific/Kiritimati")
    world.now = datetime(2027, 1, 9, 20, tzinfo=UTC)  # the 10th, there
    expected = {"none": "2027-01-10", "one": "2027-01-09", "all": "2027-01-05"}
    for policy, next_on in expected.items():
        task = await world.create(user, recurrence_catch_up=policy, **DAILY)
        await world.complete(task)
        await world.settle()
        _, successor = await world.series(task)
        assert str(successor.due_date) == next_on


async def test_further_reminders_are_inherited_too(world: RecurrenceWorld) -> None:
    """Those before the due day as they are, those at an instant as far from the new day.

    Once, however often the events come, and instead of the user's default.
    """
    user = await world.user("Europe/Berlin")
    await set_reminder_settings(
        world.database, user, ReminderSettings(default_before_due_minutes=None)
    )
    task = await world.create(
        user, recurrence_pattern="daily", due_date="2099-03-28", title="the clocks go forward"
    )
    bodies = [
        ReminderCreate(before_due_minutes=30),
        ReminderCreate(at=datetime(2099, 3, 27, 8, tzinfo=UTC)),
    ]
    async with world.database.transaction() as session:
        for body in bodies:
            await insert_reminder(session, task, body)
    await set_reminder_settings(
        world.database, user, ReminderSettings(default_before_due_minutes=60)
    )
    await world.complete(task)
    await world.settle()
    await world.work(world.log)
    _, successor = await world.series(task)
    assert [
        (one.kind, one.before_due_minutes, one.at, one.fires_at)
        for one in await list_reminders(world.database, successor)
    ] == [
        ("before_due", 30, None, datetime(2099, 3, 29, 6, 30, tzinfo=UTC)),
        ("absolute", None, *[datetime(2099, 3, 28, 8, tzinfo=UTC)] * 2),
    ]


@pytest.mark.parametrize("minutes", [90, None])
async def test_a_reminder_by_default_is_inherited_as_the_default_then_is(
    world: RecurrenceWorld, minutes: int | None
) -> None:
    """Beside another that is inherited; switched off, it is not."""
    user = await world.user("UTC")
    task = await world.create(user, recurrence_pattern="daily", due_date="2099-03-28")
    async with world.database.transaction() as session:
        await insert_reminder(session, task, ReminderCreate(before_due_minutes=30))
    await world.complete(task)
    await set_reminder_settings(
        world.database, user, ReminderSettings(default_before_due_minutes=minutes)
    )
    await world.settle()
    _, successor = await world.series(task)
    rows = await world.database.fetch(
        "SELECT before_due_minutes, by_default FROM reminders WHERE task_id = $1"
        " ORDER BY before_due_minutes",
        successor.id,
    )
    by_default = [] if minutes is None else [(minutes, True)]
    assert [(row["before_due_minutes"], row["by_default"]) for row in rows] == [
        (30, False),
        *by_default,
    ]


async def test_without_a_due_day_it_counts_from_the_day_of_completion(
    world: RecurrenceWorld,
) -> None:
    task = await world.create(
        await world.user("America/New_York"), recurrence_pattern="daily", recurrence_interval=3
    )
    assert task.next_occurrence is None
    world.now += timedelta(hours=15)  # the 5th in UTC, still the 4th there
    await world.complete(task)
    await world.settle()
    _, successor = await world.series(task)
    assert str(successor.due_date) == "2027-01-07"


async def test_count_ends_the_series(world: RecurrenceWorld) -> None:
    task = await world.create(await world.user(), recurrence_rule="COUNT=3", **DAILY)
    for _ in range(5):
        for pending in [one for one in await world.series(task) if not one.completed]:
            await world.complete(pending)
        await world.settle()
    assert days(await world.series(task)) == ["2027-01-04", "2027-01-05", "2027-01-06"]
