"""The notifications worker: users are told of reminders, each by the channels they have.

`faust -A streams.notifications worker -l info` runs it. What comes in becomes rows; what leaves is
sent from those rows, beside the topic, so that no receiver holds up a partition.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

from pydantic import ValidationError

from schemas.events import MAIL_REQUESTED, REMINDER_DUE, DueReminder, WantedMail
from schemas.topics import REMINDERS
from streams.channels.lane import Lane, make_lanes
from streams.channels.senders import open_senders
from streams.domain.deliveries import notification_id
from streams.domain.messages import reminder_message
from streams.effects.faust_app import faust_app
from streams.effects.reading import Event, PoisonError, first_rule, read_each
from streams.effects.worker import Post, Worker
from streams.store.bell import open_bell
from streams.store.database import Database, Session, StoreError, open_database
from streams.store.notifications import NewNotification, insert_notifications, prune
from streams.store.queueing import (
    AskedMail,
    Told,
    lock_listeners,
    queue_deliveries,
    queue_mails,
)
from streams.store.tracing import notification_row_of
from streams.store.users import timezones_of

POOL_SIZE = 6
PRUNE_S = 600.0
PRUNE_AGAIN_S = 1.0

_committed = asyncio.Event()
"""Set when something was queued; the senders of this process wait for it."""


async def apply(session: Session, events: Sequence[Event]) -> None:
    """Write a notification for each reminder, and a delivery for each channel that wants it."""
    by_id = {event.envelope.id: event for event in events}.values()
    reminders = [event for event in by_id if event.envelope.type == REMINDER_DUE]
    if reminders:
        await _tell(session, reminders)
    mails = read_each([event for event in by_id if event.envelope.type == MAIL_REQUESTED], mail_of)
    if mails:
        await queue_mails(session, mails)


async def _tell(session: Session, events: Sequence[Event]) -> None:
    zones = await timezones_of(session, [event.envelope.partitionkey for event in events])
    wanted = read_each(
        events, lambda event: notification_of(event, zones.get(event.envelope.partitionkey, "UTC"))
    )
    written = await insert_notifications(session, wanted)
    told = [
        told_of(event, new) for event, new in zip(events, wanted, strict=True) if new.id in written
    ]
    if told:
        await _queue(session, told)


async def _queue(session: Session, told: Sequence[Told]) -> None:
    users, types = {item.user_id for item in told}, {item.event_type for item in told}
    wanted = [
        (item, channel)
        for channel in await lock_listeners(session, users, types)
        for item in told
        if item.user_id == channel.user_id and item.event_type in channel.event_types
    ]
    await queue_deliveries(session, wanted)


def notification_of(event: Event, timezone: str) -> NewNotification:
    """Make the notification of a reminder; raise `PoisonError` if its data is not one's."""
    envelope = event.envelope
    try:
        reminder = DueReminder.model_validate(envelope.data)
    except ValidationError as error:
        raise PoisonError(f"/data{first_rule(error)}") from None
    if reminder.task.user_id != envelope.partitionkey:
        raise PoisonError("the task is not of the user that the envelope names")
    message = reminder_message(reminder, timezone)
    return NewNotification(
        id=notification_id(envelope.id),
        user_id=envelope.partitionkey,
        event_id=envelope.id,
        type=envelope.type,
        task_id=reminder.task.id,
        title=message.title,
        body=message.body,
    )


def told_of(event: Event, new: NewNotification) -> Told:
    """Make what the channels carry of a notification's event: its envelope as it came."""
    if new.task_id is None:
        raise AssertionError("a reminder has a task")
    return Told(new.user_id, new.id, new.event_id, new.type, new.task_id, _text(event))


def mail_of(event: Event) -> AskedMail:
    """Make the mail that an event asks for; raise `PoisonError` if it names none."""
    envelope = event.envelope
    try:
        asked = WantedMail.model_validate(envelope.data)
    except ValidationError as error:
        raise PoisonError(f"/data{first_rule(error)}") from None
    return AskedMail(asked.mail_id, envelope.partitionkey, envelope.id, envelope.type, _text(event))


def _text(event: Event) -> str:
    return (event.record.value or b"").decode()


async def beside(post: Post) -> None:
    """Send what waits, and forget what is old, until the process stops."""
    url = post.settings.required_database_url()
    async with (
        open_database(url, POOL_SIZE) as database,
        open_senders(post.settings, database) as senders,
        open_bell(database) as bell,
        asyncio.TaskGroup() as tasks,
    ):
        lanes = [
            lane
            for kind, send in senders.items()
            for lane in make_lanes(database, bell, kind, send)
        ]
        for lane in lanes:
            tasks.create_task(lane.run())
        waking = tasks.create_task(_wake(lanes, bell.ring))
        pruning = tasks.create_task(_prune(database))
        await post.trouble.stopping.wait()
        waking.cancel()
        pruning.cancel()
        for lane in lanes:
            lane.stop()


async def _wake(lanes: Sequence[Lane], ring: Callable[[], None]) -> None:
    while True:
        await _committed.wait()
        _committed.clear()
        ring()
        for lane in lanes:
            lane.wake.set()


async def _prune(database: Database) -> None:
    while True:
        try:
            pruned = await prune(database)
        except StoreError:
            pruned = 0  # it is away for the senders too, who say so
        await asyncio.sleep(PRUNE_AGAIN_S if pruned else PRUNE_S)


async def trace(database: Database, event_id: UUID) -> Mapping[str, object] | None:
    """Give the notification that a reminder has become, and its deliveries."""
    return await notification_row_of(database, notification_id(event_id))


app = faust_app(
    Worker(
        app="notifications",
        topic=REMINDERS,
        types=frozenset({REMINDER_DUE, MAIL_REQUESTED}),
        apply=apply,
        beside=beside,
        committed=_committed.set,
        trace=trace,
    )
)
