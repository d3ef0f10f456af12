"""What follows in a series, seen from a task that is still there: a preview, and skipping to it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from schemas.events import TaskEventType
from schemas.tasks import Status, Task
from streams.domain import series
from streams.domain.overrides import client_fields, in_series, meant_by
from streams.domain.tasks import Change, draft_of, rewrite
from streams.domain.zones import day_of, distance_of, instant_at


class NothingToSkipError(Exception):
    """The task cannot be moved to a next day; the text says why."""


def preview(
    task: Task, now: datetime, zone: ZoneInfo, count: int
) -> Iterator[tuple[int, date, datetime | None]]:
    """Give number, day and reminder of the occurrences that follow, at most `count`."""
    done_on = day_of(task.completed_at or now, zone)
    for number, due_on in series.preview(task, done_on, count):
        yield number, due_on, _reminder(task, due_on, zone)


def skip(task: Task, today: date, zone: ZoneInfo) -> Change | None:
    """Move a pending task to the day, the number and the reminder of the occurrence after it.

    As if it were done on its due day, or today if that is later. The anchor stays. What holds for
    this occurrence alone is left behind with it, the day to which it was moved too.
    """
    if series.rule_of(task) is None:
        raise NothingToSkipError("The task does not recur.")
    if task.status is not Status.PENDING:
        raise NothingToSkipError("The task is completed; skip the one that follows it.")
    meant = in_series(task)
    next_on = series.next_day(meant, max(today, meant.due_date or today))
    if next_on is None:
        raise NothingToSkipError("The series ends with this task; end it, or delete the task.")
    fields = client_fields(meant).model_copy(
        update={"due_date": next_on, "remind_at": _reminder(task, next_on, zone)}
    )
    anchor = series.following_anchor(meant, next_on)
    draft = replace(
        draft_of(task),
        fields=fields,
        recurrence_anchor=anchor,
        next_occurrence=series.next_day_if_on_time(fields, anchor),
        occurrence=(task.occurrence or 1) + 1,
        series_values=None,
    )
    return rewrite(task, draft, TaskEventType.UPDATED)


def _reminder(task: Task, due_on: date, zone: ZoneInfo) -> datetime | None:
    meant = meant_by(task)
    if meant.fields.remind_at is None:
        return None
    distance = distance_of(meant.fields.remind_at, meant.remind_from, zone)
    return instant_at(due_on, distance, zone)
