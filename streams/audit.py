"""The audit worker: every event of a task becomes one row of the audit log.

`faust -A streams.audit worker -l info` runs it.
"""

from collections.abc import Sequence

from pydantic import ValidationError

from schemas import codec
from schemas.events import TaskChange, TaskEventType
from schemas.ids import new_id
from schemas.settings import load_settings
from schemas.topics import TASK_EVENTS
from streams.domain.audit_chain import NewEntry
from streams.effects.faust_app import faust_app
from streams.effects.reading import Event, PoisonError, first_rule, read_each
from streams.effects.rebuild_command import add_rebuild_command
from streams.effects.worker import Worker
from streams.store.audit import append_entries
from streams.store.database import Session
from streams.store.tracing import audit_row_of

_VERBS = {type_.value: type_.verb for type_ in TaskEventType if type_ is not TaskEventType.PURGED}


async def apply(session: Session, events: Sequence[Event]) -> None:
    """Append one entry for each event; one that is in the log already stays as it is."""
    await append_entries(session, read_each(events, entry_of))


def entry_of(event: Event) -> NewEntry:
    """Make an event's entry; raise `PoisonError` if its data is not a task's change."""
    envelope = event.envelope
    try:
        change = TaskChange.model_validate(envelope.data)
    except ValidationError as error:
        raise PoisonError(f"/data{first_rule(error)}") from None
    if change.task.user_id != envelope.partitionkey or str(change.task.id) != envelope.subject:
        raise PoisonError("the task is not the one that the envelope names")
    _refuse_nul(event)
    return NewEntry(
        id=new_id(),
        user_id=change.task.user_id,
        event_type=_VERBS[envelope.type],
        task_id=change.task.id,
        task_data=envelope.data["task"],
        event_id=envelope.id,
        happened_at=envelope.time,
    )


def _refuse_nul(event: Event) -> None:
    """Text can hold what is escaped, but a reader's jsonb cannot: the view would fail on it."""
    raw = event.record.value or b""
    # Most events have no backslash at all, and one byte is found ten times as fast as six.
    if b"\\" in raw and b"\\u0000" in raw:
        try:
            codec.decode_strictly(codec.encode(event.envelope.data["task"]))
        except codec.MalformedError as error:
            raise PoisonError(f"/data/task: {error}") from None


_worker = Worker(
    app="audit", topic=TASK_EVENTS, types=frozenset(_VERBS), apply=apply, trace=audit_row_of
)
app = faust_app(_worker)
add_rebuild_command(_worker, load_settings())
