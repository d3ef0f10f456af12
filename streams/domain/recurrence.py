"""When a recurring task is due next; days only, so that no zone or clock is in it."""

from calendar import monthrange
from datetime import date, timedelta

from schemas.tasks import RecurrencePattern

_MONTHS = {RecurrencePattern.MONTHLY: 1, RecurrencePattern.YEARLY: 12}
_DAYS = {RecurrencePattern.DAILY: 1, RecurrencePattern.WEEKLY: 7}


def next_occurrence(pattern: RecurrencePattern, interval: int, due_on: date) -> date | None:
    """Give the day one interval after `due_on`; None without recurrence or after the year 9999.

    A month that has no such day takes its last one: 31 January is followed by 28 February.
    """
    try:
        if days := _DAYS.get(pattern):
            return due_on + timedelta(days=days * interval)
        if months := _MONTHS.get(pattern):
            return _months_later(due_on, months * interval)
    except (OverflowError, ValueError):
        return None
    return None


def _months_later(day: date, months: int) -> date:
    years, month0 = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month0 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
