"""What a write makes of a task: pure in the task as it is, what is asked, and the clock."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from uuid import UUID

from schemas.bodies import TaskPatch, TaskPut
from schemas.events import TaskEventType
from schemas.ids import new_id
from schemas.recurrence import parse_rule
from schemas.tasks import RecurrencePattern, Scope, SeriesValues, Status, Task, TaskFields
from streams.domain.overrides import (
    OVERRIDABLE,
    Meant,
    client_fields,
    meant_after,
    meant_by,
    names_of,
    same_names,
    values_beside,
)
from streams.domain.recurrence import misfit
from streams.domain.series import next_day_if_on_time

REMINDER_PAST_MAX = timedelta(seconds=60)
"""A reminder may lie this far back, for clocks that differ and forms that were open for a while."""

_ANCHORED_BY = ("due_date", "recurrence_pattern", "recurrence_interval", "recurrence_rule")
"""A change of any of these lets the series count anew from the due day that the task has then."""


class RuleError(ValueError):
    """A value is well formed and still not allowed; names the field and the rule.

    The field is one of the body, unless it is said to be a parameter of the query.
    """

    def __init__(self, field: str, rule: str, message: str, *, in_query: bool = False) -> None:
        super().__init__(message)
        self.field = field
        self.rule = rule
        self.in_query = in_query


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
    series_values: SeriesValues | None = None
    """What the series has where this occurrence differs."""

    @property
    def occurrence_only(self) -> tuple[str, ...]:
        """The fields in which this occurrence differs from its series."""
        return names_of(self.fields, self.series_values)


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
    draft = Draft(fields, recurrence_anchor=fields.due_date)
    return Change(_with_series(draft, Meant(fields, fields.due_date)), TaskEventType.CREATED, ())


def put(task: Task, body: TaskPut, now: datetime, scope: Scope = Scope.FOLLOWING) -> Change | None:
    """Replace all that a client sets; None if nothing changes."""
    wanted = TaskFields.model_validate(body.model_dump(exclude={"status"}))
    status = body.status if "status" in body.model_fields_set else task.status
    if scope is Scope.THIS:
        return _edit_this(task, wanted, status, now)
    return _edit(task, wanted, status, now, OVERRIDABLE)


def patch(
    task: Task, body: TaskPatch, now: datetime, scope: Scope = Scope.FOLLOWING
) -> Change | None:
    """Replace what the client named; None if nothing changes."""
    given = body.model_dump(include=body.model_fields_set - {"status"})
    if given.get("recurrence_pattern") is RecurrencePattern.NONE:
        given = {"recurrence_rule": None} | given  # a rule goes with its pattern
    wanted = client_fields(task).model_copy(update=given)
    status = body.status if "status" in body.model_fields_set else task.status
    if scope is Scope.THIS:
        return _edit_this(task, wanted, status, now)
    return _edit(task, wanted, status, now, body.model_fields_set)


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
        series_values=task.series_values,
    )


def _edit(
    task: Task,
    wanted: TaskFields,
    status: Status,
    now: datetime,
    named: Collection[str] = (),
) -> Change | None:
    """Edit an occurrence, and its series by the fields that are named."""
    before = meant_by(task)
    meant = meant_after(before, wanted, named)
    draft = _edited(task, wanted, status, now)
    if _counts_anew(before.fields, meant.fields):
        _check_rule(wanted)
        draft = replace(draft, recurrence_anchor=meant.fields.due_date)
    return rewrite(task, _with_series(draft, meant), _event_type(task.status, status))


def _edit_this(task: Task, wanted: TaskFields, status: Status, now: datetime) -> Change | None:
    """Edit an occurrence, and leave its series as it is."""
    if task.recurrence_pattern is RecurrencePattern.NONE:
        message = "this is for tasks that recur"
        raise RuleError("scope", "recurring", message, in_query=True)
    for name in TaskFields.model_fields:
        if name not in OVERRIDABLE and getattr(wanted, name) != getattr(task, name):
            raise RuleError(name, "whole_series", "holds for this occurrence and all that follow")
    draft = _edited(task, wanted, status, now)
    event_type = _event_type(task.status, status)
    return rewrite(task, _with_series(draft, meant_by(task)), event_type)


def _edited(task: Task, wanted: TaskFields, status: Status, now: datetime) -> Draft:
    if wanted.remind_at != task.remind_at:
        _check_reminder(wanted.remind_at, now)
    completed_at = _completed_at(task, status, now)
    return replace(draft_of(task), fields=wanted, status=status, completed_at=completed_at)


def _completed_at(task: Task, status: Status, now: datetime) -> datetime | None:
    if status is Status.PENDING:
        return None
    return task.completed_at or now


def _event_type(before: Status, after: Status) -> TaskEventType:
    if before is after:
        return TaskEventType.UPDATED
    return TaskEventType.COMPLETED if after is Status.COMPLETED else TaskEventType.REOPENED


def _with_series(draft: Draft, meant: Meant) -> Draft:
    """Give a draft what belongs to its series: id, number, next day, and where it differs."""
    fields = draft.fields
    if fields.recurrence_pattern is RecurrencePattern.NONE:
        return Draft(fields, draft.status, draft.completed_at, draft.deleted_at)
    return replace(
        draft,
        next_occurrence=next_day_if_on_time(meant.fields, draft.recurrence_anchor, fields.due_date),
        series_id=draft.series_id or new_id(),
        occurrence=draft.occurrence or 1,
        series_values=values_beside(fields, meant),
    )


def _counts_anew(before: TaskFields, after: TaskFields) -> bool:
    """Tell whether a series counts from another day, or otherwise, from here on."""
    return any(getattr(before, name) != getattr(after, name) for name in _ANCHORED_BY)


def _changed(before: Draft, after: Draft) -> tuple[str, ...]:
    old, new = _columns(before), _columns(after)
    return tuple(sorted(name for name in old if old[name] != new[name]))


def _columns(draft: Draft) -> dict[str, object]:
    own = {name: getattr(draft, name) for name in Draft.__slots__ if name != "fields"}
    # Clients know it by the names of what differs. Models are equal if one of them was only not
    # given what the other was given as its default.
    values = own.pop("series_values")
    own["occurrence_only"] = values and values.model_dump(exclude_unset=True)
    return own | {name: getattr(draft.fields, name) for name in TaskFields.model_fields}


def _check_rule(fields: TaskFields) -> None:
    if fields.recurrence_rule is not None:
        parts = parse_rule(fields.recurrence_rule)
        if problem := misfit(fields.recurrence_pattern, parts):
            raise RuleError("recurrence_rule", "fits_pattern", problem)


def _check_reminder(remind_at: datetime | None, now: datetime) -> None:
    if remind_at is not None and remind_at < now - REMINDER_PAST_MAX:
        raise RuleError("remind_at", "not_past", "must not be more than 60 s in the past")
