"""The statement that fires: once, never early, and only for a state that stands."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from schemas import codec
from schemas.events import EVENTS, REMINDER_DUE, Actor, ActorKind
from schemas.ids import new_id
from schemas.tasks import TaskFields
from streams.domain import tasks as domain
from streams.domain.reminders import Planned
from streams.domain.tasks import Change
from streams.relay.envelope import messages_of
from streams.store.database import Database, Row
from streams.store.outbox import unsent_rows
from streams.store.reminders import LATE, START, fire, planned_after
from streams.store.tasks import Origin, find_task, insert_task, lock_task, update_task
from tests.reminder_world import database_now

ORIGIN = Origin(Actor(kind=ActorKind.USER, id="somebody"))
ABOUT_NOW = timedelta(milliseconds=1)
FAR = timedelta(days=400)


async def create(database: Database, user: UUID, remind_at: datetime | None) -> UUID:
    fields = TaskFields(title="call the dentist", remind_at=remind_at)
    change = domain.create(fields, await database_now(database))
    return (await insert_task(database, user, change, ORIGIN)).id


async def write(database: Database, user: UUID, task_id: UUID, verb: str) -> None:
    task = await find_task(database, user, task_id, deleted_too=True)
    assert task is not None
    change: Change | None = getattr(domain, verb)(task, await database_now(database))
    assert change is not None
    await update_task(database, task, change, ORIGIN)


async def move(database: Database, task_id: UUID, remind_at: datetime | None) -> None:
    await database.fetch("UPDATE tasks SET remind_at = $2 WHERE id = $1", task_id, remind_at)


async def planned(database: Database) -> Sequence[Planned]:
    return await planned_after(database, START, await database_now(database) + FAR, 1_000)


async def ledger(database: Database) -> list[Row]:
    return await database.fetch("SELECT * FROM reminder_firings ORDER BY fires_at")


async def due_events(database: Database) -> list[str]:
    rows = await unsent_rows(database, 1_000)
    return [row.data for row in rows if row.type == REMINDER_DUE]


async def test_one_that_is_due_fires_with_its_event_and_once(
    database: Database, user: UUID
) -> None:
    """Ledger and event agree; tried again, and by two at once, it writes nothing more."""
    remind_at = await database_now(database)
    task_id = await create(database, user, remind_at)
    batch = await planned(database)
    firing = await fire(database, batch)
    assert firing.fired == {task_id}
    assert not firing.standing
    again = await asyncio.gather(*(fire(database, batch) for _ in range(3)))
    assert not any(one.fired or one.standing for one in again)
    (row,) = await ledger(database)
    assert row["fires_at"] == remind_at
    assert row["fired_at"] == firing.now
    (event,) = [row for row in await unsent_rows(database, 10) if row.type == REMINDER_DUE]
    message = messages_of(event, 1)[0]
    assert (message.topic, message.key) == ("reminders", str(user).encode())
    envelope = EVENTS[REMINDER_DUE].model_validate_json(message.value)
    assert (envelope.id, envelope.subject) == (row["event_id"], str(task_id))
    data = codec.decode(message.value)["data"]
    assert data["task"]["id"] == str(task_id)
    assert data["late"] is row["late"] is False
    assert datetime.fromisoformat(data["remind_at"]) == remind_at
    assert datetime.fromisoformat(data["fired_at"]) == firing.now


async def test_two_at_once_fire_it_once(database: Database, user: UUID) -> None:
    now = await database_now(database)
    ids = {await create(database, user, now) for _ in range(50)}
    batch = await planned(database)
    firings = await asyncio.gather(*(fire(database, batch) for _ in range(4)))
    fired = [reminder for firing in firings for reminder in firing.fired]
    for _ in range(2):
        fired += (await fire(database, batch)).fired
    assert sorted(fired) == sorted(ids)
    assert len(await ledger(database)) == len(await due_events(database)) == 50


async def test_none_fires_early(database: Database, user: UUID) -> None:
    """The statement refuses it, tells the time, and says that it still stands."""
    remind_at = await database_now(database) + timedelta(milliseconds=150)
    task_id = await create(database, user, remind_at)
    batch = await planned(database)
    firing = await fire(database, batch)
    assert firing.now < remind_at
    assert firing.standing == {task_id}
    while not (firing := await fire(database, batch)).fired:
        assert firing.now < remind_at
    assert firing.now >= remind_at


async def test_what_changed_before_its_instant_does_not_fire(
    database: Database, user: UUID
) -> None:
    """Completed, deleted, moved, or without a reminder: as planned before, it is gone."""
    now = await database_now(database)
    tasks = [await create(database, user, now) for _ in range(4)]
    batch = await planned(database)
    await write(database, user, tasks[0], "complete")
    await write(database, user, tasks[1], "delete")
    await move(database, tasks[2], now + timedelta(hours=1))
    await move(database, tasks[3], None)
    firing = await fire(database, batch)
    assert not firing.fired
    assert not firing.standing
    assert await ledger(database) == []
    assert [(one.id, one.fires_at) for one in await planned(database)] == [
        (tasks[2], now + timedelta(hours=1))
    ]


async def test_what_falls_due_while_it_is_completed_or_deleted_stays_silent(
    database: Database, user: UUID
) -> None:
    """When it comes back only what is still to come is planned."""
    now = await database_now(database)
    past, future = [await create(database, user, now + timedelta(hours=n)) for n in (0, 1)]
    for task in (past, future):
        await write(database, user, task, "complete")
    assert await planned(database) == []
    for task in (past, future):
        await write(database, user, task, "reopen")
    assert [one.id for one in await planned(database)] == [future]


async def test_moved_away_and_back_after_it_fired_it_does_not_fire_again(
    database: Database, user: UUID
) -> None:
    now = await database_now(database)
    task_id = await create(database, user, now)
    assert (await fire(database, await planned(database))).fired == {task_id}
    await move(database, task_id, now + timedelta(hours=1))
    await move(database, task_id, now)
    firing = await fire(database, await planned(database))
    assert not firing.fired
    assert await planned(database) == []
    assert len(await due_events(database)) == 1


async def test_a_task_that_is_being_written_holds_up_no_other(
    database: Database, user: UUID
) -> None:
    """Its own reminder still stands, and fires when the writer is done."""
    now = await database_now(database)
    held, free = [await create(database, user, now) for _ in range(2)]
    batch = await planned(database)
    async with database.transaction() as session:
        await lock_task(session, user, held)
        firing = await asyncio.wait_for(fire(database, batch), 2)
        assert firing.fired == {free}
        assert firing.standing == {held}
    assert (await fire(database, batch)).fired == {held}


async def test_late_ones_say_so_and_come_in_the_order_of_their_instants(
    database: Database, user: UUID
) -> None:
    """Whatever the order in which they are asked for."""
    now = await database_now(database)
    ids = [await create(database, user, now) for _ in range(20)]
    for number, task_id in enumerate(ids):
        await move(database, task_id, now - timedelta(hours=2) + timedelta(minutes=number))
    await move(database, ids[19], now)
    await fire(database, (await planned(database))[::-1])
    assert [row["task_id"] for row in await ledger(database)] == ids
    assert [row["late"] for row in await ledger(database)] == [True] * 19 + [False]
    events = [codec.decode(data) for data in await due_events(database)]
    assert [UUID(event["task"]["id"]) for event in events] == ids
    assert timedelta(seconds=1) == LATE


async def test_a_deleted_task_row_takes_its_reminders_along(database: Database, user: UUID) -> None:
    """Purged, it leaves the ledger, which says what has happened."""
    now = await database_now(database)
    task_id = await create(database, user, now)
    batch = await planned(database)
    await fire(database, batch)
    await database.fetch("DELETE FROM tasks WHERE id = $1", task_id)
    assert await database.fetch("SELECT FROM reminders") == []
    assert len(await ledger(database)) == 1
    unknown = Planned(new_id(), new_id(), user, now, 1)
    assert not (await fire(database, [*batch, unknown])).fired
