"""The webhooks worker: each change of a task or tag becomes a delivery by each webhook for it.

`faust -A streams.webhooks worker -l info` runs it. It only writes rows; the notifications worker
sends them, as it sends its own.
"""

from collections.abc import Sequence

from pydantic import ValidationError

from schemas import codec
from schemas.events import CHANGE_TYPES, EVENTS, TaskChange
from schemas.topics import TASK_EVENTS
from streams.effects.faust_app import faust_app
from streams.effects.reading import Event, PoisonError, first_rule, read_each
from streams.effects.worker import Worker
from streams.store.database import Session
from streams.store.queueing import Listener, Told, lock_listeners, queue_deliveries
from streams.store.tracing import delivery_rows_of


async def apply(session: Session, events: Sequence[Event]) -> None:
    """Write a delivery for each event and webhook; where nobody listens, one query is all."""
    by_id = {event.envelope.id: event for event in events}.values()
    listeners = await lock_listeners(
        session,
        {event.envelope.partitionkey for event in by_id},
        {event.envelope.type for event in by_id},
    )
    heard = [event for event in by_id if any(listens(listener, event) for listener in listeners)]
    await queue_deliveries(
        session,
        [
            (told, listener)
            for event, told in zip(heard, read_each(heard, told_of), strict=True)
            for listener in listeners
            if listens(listener, event)
        ],
    )


def listens(listener: Listener, event: Event) -> bool:
    """Tell whether a channel is to carry an event: not what was before the channel itself.

    So a worker that is behind, or begins anew, sends no history to a new receiver.
    """
    envelope = event.envelope
    return (
        listener.user_id == envelope.partitionkey
        and envelope.type in listener.event_types
        and listener.created_at <= envelope.time
    )


def told_of(event: Event) -> Told:
    """Make what a channel carries of an event; raise `PoisonError` if its data is not its type's.

    It has no notification: a user's list is not the log.
    """
    raw = event.record.value or b""
    try:
        envelope = EVENTS[event.envelope.type].model_validate(codec.decode(raw))
    except ValidationError as error:
        raise PoisonError(first_rule(error)) from None
    data: object = envelope.data
    task_id = None
    if isinstance(data, TaskChange):
        task = data.task
        if task.user_id != envelope.partitionkey or str(task.id) != envelope.subject:
            raise PoisonError("the task is not the one that the envelope names")
        task_id = task.id
    return Told(envelope.partitionkey, None, envelope.id, envelope.type, task_id, raw.decode())


app = faust_app(
    Worker(
        app="webhooks",
        topic=TASK_EVENTS,
        types=frozenset(CHANGE_TYPES),
        apply=apply,
        trace=delivery_rows_of,
    )
)
