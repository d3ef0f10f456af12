"""What a write makes of a task: pure in the task as it is, what is asked, and the clock."""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from schemas.bodies import TaskPatch, TaskPut
from schemas.events import TaskEventType
from schemas.ids import new_id
from schemas.recurrence import parse_rule
from schemas.tasks import RecurrencePattern, Status, Task, TaskFields
from streams.domain.recurrence import misfit
from streams.domain.series import next_day_if_on_time

REMINDER_PAST_MAX = timedelta(seconds=60)
"""A reminder may lie this far back, for clocks that differ and forms that were open for a while."""

_ANCHORED_BY = ("due_date", "recurrence_pattern", "recurrence_interval", "recurrence_rule")
"""A change of any of these lets the series count anew from the due day that the task has then."""


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
    recurrence_anchor: date | None = None
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
    _check_rule(fields)
    return Change(_with_series(_anchored(Draft(fields))), TaskEventType.CREATED, ())


def put(task: Task, body: TaskPut, now: datetime) -> Change | None:
    """Replace all that a client sets; None if nothing changes."""
    wanted = TaskFields.model_validate(body.model_dump(exclude={"status"}))
    status = body.status if "status" in body.model_fields_set else task.status
    return _edit(task, wanted, status, now)


def patch(task: Task, body: TaskPatch, now: datetime) -> Change | None:
    """Replace what the client named; None if nothing changes."""
    given = body.model_dump(include=body.model_fields_set - {"status"})
    if given.get("recurrence_pattern") is RecurrencePattern.NONE:
        given = {"recurrence_rule": None} | given  # a rule goes with its pattern
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
    return Change(replace(draft_of(task), deleted_at=now), TaskEventType.DELETED, ("deleted_at",))


def end_series(task: Task, now: datetime) -> Change | None:
    """Let nothing follow a task; None if nothing would."""
    ended = {"recurrence_pattern": RecurrencePattern.NONE, "recurrence_rule": None}
    return _edit(task, client_fields(task).model_copy(update=ended), task.status, now)


def rewrite(task: Task, draft: Draft, event_type: TaskEventType) -> Change | None:
    """Make a task what a draft says; None if it is. Tags keep the spelling that they have."""
    if same_names(draft.fields.tags, task.tags):
        kept = draft.fields.model_copy(update={"tags": task.tags})
        draft = replace(draft, fields=kept)
    changed = _changed(draft_of(task), draft)
    return Change(draft, event_type, changed) if changed else None


def draft_of(task: Task) -> Draft:
    """Give a task's columns as they are."""
    return Draft(
        fields=client_fields(task),
        status=task.status,
        completed_at=task.completed_at,
        deleted_at=task.deleted_at,
        recurrence_anchor=task.recurrence_anchor,
        next_occurrence=task.next_occurrence,
        series_id=task.series_id,
        occurrence=task.occurrence,
    )


def client_fields(task: Task) -> TaskFields:
    """Give the part of a task that a client sets."""
    return TaskFields.model_construct(
        **{name: getattr(task, name) for name in TaskFields.model_fields}
    )


def _edit(task: Task, wanted: TaskFields, status: Status, now: datetime) -> Change | None:
    if wanted.remind_at != task.remind_at:
        _check_reminder(wanted.remind_at, now)
    completed_at = _completed_at(task, status, now)
    before = draft_of(task)
    draft = replace(before, fields=wanted, status=status, completed_at=completed_at)
    if _counts_anew(before.fields, wanted):
        _check_rule(wanted)
        draft = _anchored(draft)
    return rewrite(task, _with_series(draft), _event_type(task.status, status))


def _completed_at(task: Task, status: Status, now: datetime) -> datetime | None:
    if status is Status.PENDING:
        return None
    return task.completed_at or now


def _event_type(before: Status, after: Status) -> TaskEventType:
    if before is after:
        return TaskEventType.UPDATED
    return TaskEventType.COMPLETED if after is Status.COMPLETED else TaskEventType.REOPENED


def _with_series(draft: Draft) -> Draft:
    """Give a draft what belongs to its series: an id, a number, and the day that is next."""
    fields = draft.fields
    if fields.recurrence_pattern is RecurrencePattern.NONE:
        return replace(
            draft, recurrence_anchor=None, next_occurrence=None, series_id=None, occurrence=None
        )
    return replace(
        draft,
        next_occurrence=next_day_if_on_time(fields, draft.recurrence_anchor),
        series_id=draft.series_id or new_id(),
        occurrence=draft.occurrence or 1,
    )


def _anchored(draft: Draft) -> Draft:
    return replace(draft, recurrence_anchor=draft.fields.due_date)


def _counts_anew(before: TaskFields, after: TaskFields) -> bool:
    """Tell whether a series counts from another day, or otherwise, from here on."""
    return any(getattr(before, name) != getattr(after, name) for name in _ANCHORED_BY)


def _changed(before: Draft, after: Draft) -> tuple[str, ...]:
    old, new = _columns(before), _columns(after)
    return tuple(sorted(name for name in old if old[name] != new[name]))


def _columns(draft: Draft) -> dict[str, object]:
    own = {name: getattr(draft, name) for name in Draft.__slots__ if name != "fields"}
    return own | {name: getattr(draft.fields, name) for name in TaskFields.model_fields}


def same_names(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Tell whether tags are the same, without case."""
    return {name.casefold() for name in left} == {name.casefold() for name in right}


def _check_rule(fields: TaskFields) -> None:
    if fields.recurrence_rule is not None:
        parts = parse_rule(fields.recurrence_rule)
        if problem := misfit(fields.recurrence_pattern, parts):
            raise RuleError("recurrence_rule", "fits_pattern", problem)


def _check_reminder(remind_at: datetime | None, now: datetime) -> None:
    if remind_at is not None and remind_at < now - REMINDER_PAST_MAX:
        raise RuleError("remind_at", "not_past", "must not be more than 60 s in the past")
