"""What a write makes of a task: pure in the task as it is, what is asked, and the clock."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from schemas.bodies import TaskPatch, TaskPut
from schemas.events import TaskEventType
from schemas.ids import new_id
from schemas.tasks import RecurrencePattern, Status, Task, TaskFields
from streams.domain.recurrence import next_occurrence

REMINDER_PAST_MAX = timedelta(seconds=60)
"""A reminder may lie this far back, for clocks that differ and forms that were open for a while."""


class RuleError(ValueError):
    """A value is well formed and still not allowed; names the field and the rule."""

    def __init__(self, field: str, rule: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Draft:
    """A task's columns as they are to be written; the database adds version and instants."""

    fields: TaskFields
    status: Status = Status.PENDING
    completed_at: datetime | None = None
    deleted_at: datetime | None = None
    next_occurrence: date | None = None
    series_id: UUID | None = None
    occurrence: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One write: what the row becomes, and the one event that says so."""

    draft: Draft
    event_type: TaskEventType
    changed: tuple[str, ...]


def create(fields: TaskFields, now: datetime) -> Change:
    """Begin a task."""
    _check_reminder(fields.remind_at, now)
    return Change(_with_series(Draft(fields)), TaskEventType.CREATED, ())


def put(task: Task, body: TaskPut, now: datetime) -> Change | None:
    """Replace all that a client sets; None if nothing changes."""
    wanted = TaskFields.model_validate(body.model_dump(exclude={"status"}))
    status = body.status if "status" in body.model_fields_set else task.status
    return _edit(task, wanted, status, now)


def patch(task: Task, body: TaskPatch, now: datetime) -> Change | None:
    """Replace what the client named; None if nothing changes."""
    given = body.model_dump(include=body.model_fields_set - {"status"})
    wanted = client_fields(task).model_copy(update=given)
    status = body.status if "status" in body.model_fields_set else task.status
    return _edit(task, wanted, status, now)


def complete(task: Task, now: datetime) -> Change | None:
    """Mark a task as done; None if it was."""
    if task.status is Status.COMPLETED:
        return None
    return _edit(task, client_fields(task), Status.COMPLETED, now)


def reopen(task: Task, now: datetime) -> Change | None:
    """Mark a task as to be done again; None if it was."""
    if task.status is Status.PENDING:
        return None
    return _edit(task, client_fields(task), Status.PENDING, now)


def delete(task: Task, now: datetime) -> Change | None:
    """Delete a task softly; None if it was."""
    if task.deleted_at is not None:
        return None
    return Change(replace(_draft(task), deleted_at=now), TaskEventType.DELETED, ("deleted_at",))


def client_fields(task: Task) -> TaskFields:
    """Give the part of a task that a client sets."""
    return TaskFields.model_construct(
        **{name: getattr(task, name) for name in TaskFields.model_fields}
    )


def _edit(task: Task, wanted: TaskFields, status: Status, now: datetime) -> Change | None:
    if _same_names(wanted.tags, task.tags):
        wanted = wanted.model_copy(update={"tags": task.tags})
    if wanted.remind_at != task.remind_at:
        _check_reminder(wanted.remind_at, now)
    completed_at = _completed_at(task, status, now)
    draft = _with_series(
        replace(_draft(task), fields=wanted, status=status, completed_at=completed_at)
    )
    changed = _changed(_draft(task), draft)
    if not changed:
        return None
    return Change(draft, _event_type(task.status, status), changed)


def _completed_at(task: Task, status: Status, now: datetime) -> datetime | None:
    if status is Status.PENDING:
        return None
    return task.completed_at or now


def _event_type(before: Status, after: Status) -> TaskEventType:
    if before is after:
        return TaskEventType.UPDATED
    return TaskEventType.COMPLETED if after is Status.COMPLETED else TaskEventType.REOPENED


def _draft(task: Task) -> Draft:
    return Draft(
        fields=client_fields(task),
        status=task.status,
        completed_at=task.completed_at,
        deleted_at=task.deleted_at,
        next_occurrence=task.next_occurrence,
        series_id=task.series_id,
        occurrence=task.occurrence,
    )


def _with_series(draft: Draft) -> Draft:
    fields = draft.fields
    if fields.recurrence_pattern is RecurrencePattern.NONE:
        return replace(draft, next_occurrence=None, series_id=None, occurrence=None)
    next_on = fields.due_date and next_occurrence(
        fields.recurrence_pattern, fields.recurrence_interval, fields.due_date
    )
    return replace(
        draft,
        next_occurrence=next_on,
        series_id=draft.series_id or new_id(),
        occurrence=draft.occurrence or 1,
    )


def _changed(before: Draft, after: Draft) -> tuple[str, ...]:
    old, new = _columns(before), _columns(after)
    return tuple(sorted(name for name in old if old[name] != new[name]))


def _columns(draft: Draft) -> dict[str, object]:
    own = {name: getattr(draft, name) for name in Draft.__slots__ if name != "fields"}
    return own | {name: getattr(draft.fields, name) for name in TaskFields.model_fields}


def _same_names(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    return {name.casefold() for name in left} == {name.casefold() for name in right}


def _check_reminder(remind_at: datetime | None, now: datetime) -> None:
    if remind_at is not None and remind_at < now - REMINDER_PAST_MAX:
        raise RuleError("remind_at", "not_past", "must not be more than 60 s in the past")
