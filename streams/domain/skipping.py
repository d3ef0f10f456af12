"""What follows in a series, seen from a task that is still there: a preview, and skipping to it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from zoneinfo import ZoneInfo

from schemas.events import TaskEventType
from schemas.tasks import Status, Task
from streams.domain import series
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

    As if it were done on its due day, or today if that is later. The anchor stays.
    """
    if series.rule_of(task) is None:
        raise NothingToSkipError("The task does not recur.")
    if task.status is not Status.PENDING:
        raise NothingToSkipError("The task is completed; skip the one that follows it.")
    next_on = series.next_day(task, max(today, task.due_date or today))
    if next_on is None:
        raise NothingToSkipError("The series ends with this task; end it, or delete the task.")
    before = draft_of(task)
    fields = before.fields.model_copy(
        update={"due_date": next_on, "remind_at": _reminder(task, next_on, zone)}
    )
    anchor = series.following_anchor(task, next_on)
    draft = replace(
        before,
        fields=fields,
        recurrence_anchor=anchor,
        next_occurrence=series.next_day_if_on_time(fields, anchor),
        occurrence=(task.occurrence or 1) + 1,
    )
    return rewrite(task, draft, TaskEventType.UPDATED)


def _reminder(task: Task, due_on: date, zone: ZoneInfo) -> datetime | None:
    if task.remind_at is None:
        return None
    return instant_at(due_on, distance_of(task.remind_at, task.due_date, zone), zone)
