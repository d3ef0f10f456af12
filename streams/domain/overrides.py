"""An occurrence that differs from its series: what the series has, and what an edit makes of it."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from schemas.tasks import RecurrencePattern, SeriesValues, Task, TaskFields

OVERRIDABLE = ("description", "due_date", "priority", "remind_at", "tags", "title")
"""What an occurrence may have for itself; all others hold for its whole series."""


@dataclass(frozen=True, slots=True)
class Meant:
    """A task's fields as its series has them.

    The reminder is counted from a day of its own: an occurrence that was moved may have got one
    that the series is to have too, as far from its day.
    """

    fields: TaskFields
    remind_from: date | None


def client_fields(task: Task) -> TaskFields:
    """Give the part of a task that a client sets."""
    return TaskFields.model_construct(
        **{name: getattr(task, name) for name in TaskFields.model_fields}
    )


def meant_by(task: Task) -> Meant:
    """Give what the series of a task has: the task's own fields, but where it differs."""
    own, values = client_fields(task), task.series_values
    if values is None:
        return Meant(own, task.due_date)
    named = {name: getattr(values, name) for name in values.model_fields_set}
    remind_from = named.pop("remind_from", task.due_date)
    return Meant(own.model_copy(update=named), remind_from)


def in_series(task: Task) -> Task:
    """Give a task as it would be if it did not differ from its series."""
    if task.series_values is None:
        return task
    fields = meant_by(task).fields
    update = {name: getattr(fields, name) for name in OVERRIDABLE} | {"occurrence_only": ()}
    return task.model_copy(update=update).with_series_values(None)


def meant_after(before: Meant, wanted: TaskFields, named: Collection[str]) -> Meant:
    """Give what a series has after an edit for all that follow, which names some fields."""
    kept = {name: getattr(before.fields, name) for name in OVERRIDABLE if name not in named}
    fields = wanted.model_copy(update=kept)
    if "remind_at" in named:
        return Meant(fields, wanted.due_date)
    moved = fields.due_date != before.fields.due_date
    return Meant(fields, fields.due_date if moved else before.remind_from)


def values_beside(own: TaskFields, meant: Meant) -> SeriesValues | None:
    """Give what a series has where an occurrence's own fields differ; None if they do not."""
    if own.recurrence_pattern is RecurrencePattern.NONE:
        return None
    values: dict[str, object] = {
        name: getattr(meant.fields, name)
        for name in OVERRIDABLE
        if name != "remind_at" and not _same(name, own, meant.fields)
    }
    reminder = _reminder(meant.fields.remind_at, meant.remind_from)
    if reminder != _reminder(own.remind_at, own.due_date):
        values |= {"remind_at": reminder[0], "remind_from": reminder[1]}
    return SeriesValues.model_validate(values) if values else None


def names_of(own: TaskFields, values: SeriesValues | None) -> tuple[str, ...]:
    """Name the fields in which an occurrence differs, sorted; at least one if it does.

    A reminder that stays where it was while only its day is moved is none of them.
    """
    if values is None:
        return ()
    named = values.model_fields_set - {"remind_from"}
    if own.remind_at == values.remind_at and "due_date" in named:
        named -= {"remind_at"}
    return tuple(sorted(named))


def same_names(left: tuple[str, ...], right: tuple[str, ...]) -> bool:
    """Tell whether tags are the same, without case."""
    return {name.casefold() for name in left} == {name.casefold() for name in right}


def _same(name: str, left: TaskFields, right: TaskFields) -> bool:
    if name == "tags":
        return same_names(left.tags, right.tags)
    return bool(getattr(left, name) == getattr(right, name))


def _reminder(
    at: datetime | None, counted_from: date | None
) -> tuple[datetime | None, date | None]:
    """Give a reminder and its day; what does not remind is far from none."""
    return (None, None) if at is None else (at, counted_from)
