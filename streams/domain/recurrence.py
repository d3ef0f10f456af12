"""The days of a recurrence; days only, so that no zone or clock is in it.

The rules are RFC 5545's, evaluated by dateutil, but for one thing: where no part says which day of
the month, a month that does not have the anchor's takes its last. Monthly from 31 January is 28
February and then 31 March.
"""

from calendar import monthrange
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import MAXYEAR, date, datetime, timedelta
from itertools import takewhile
from types import MappingProxyType
from typing import Final, Literal

from dateutil.rrule import DAILY, MONTHLY, WEEKLY, YEARLY, rrule, weekday

from schemas.recurrence import RuleParts
from schemas.tasks import RecurrencePattern

SEARCH_YEARS, SEARCH_INTERVALS = 100, 100
"""A rule is searched at least for the longer of these; if it has given nothing, it has ended."""
CYCLE_YEARS = 400
"""After these the Gregorian calendar repeats itself, weekdays and all."""

_DAY = timedelta(days=1)
_FREQUENCY: Final[Mapping[RecurrencePattern, Literal[0, 1, 2, 3]]] = MappingProxyType(
    {
        RecurrencePattern.DAILY: DAILY,
        RecurrencePattern.WEEKLY: WEEKLY,
        RecurrencePattern.MONTHLY: MONTHLY,
        RecurrencePattern.YEARLY: YEARLY,
    }
)
_INTERVAL_DAYS = {
    RecurrencePattern.DAILY: 1,
    RecurrencePattern.WEEKLY: 7,
    RecurrencePattern.MONTHLY: 31,
    RecurrencePattern.YEARLY: 366,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """How a task recurs; the pattern is not `none`, and the parts fit it."""

    pattern: RecurrencePattern
    interval: int
    parts: RuleParts = field(default_factory=RuleParts)

    @property
    def names_no_day(self) -> bool:
        """Whether it counts months, and leaves the day to the anchor."""
        counts_months = self.pattern in {RecurrencePattern.MONTHLY, RecurrencePattern.YEARLY}
        return counts_months and not (self.parts.by_day or self.parts.by_month_day)


def misfit(pattern: RecurrencePattern, parts: RuleParts) -> str | None:
    """Say why parts do not go with a pattern (RFC 5545, section 3.3.10); None if they do."""
    match pattern:
        case RecurrencePattern.NONE:
            return "must be null when recurrence_pattern is none"
        case RecurrencePattern.DAILY | RecurrencePattern.WEEKLY if any(
            day.ordinal for day in parts.by_day
        ):
            return "BYDAY must have no ordinals unless the pattern is monthly or yearly"
        case RecurrencePattern.WEEKLY if parts.by_month_day:
            return "BYMONTHDAY does not go with the pattern weekly"
        case _:
            return None


def days_after(rule: Rule, anchor: date, after: date) -> Iterator[date]:
    """Give the days of a rule that counts from `anchor`, each later than `after`, in order.

    The anchor is the first of COUNT if the rule meets it. Excepted days are counted, and not given.
    """
    begin = _begin(rule, anchor, after)
    years = _years_to_the_end(rule, begin)
    for found in _evaluate(rule, anchor, begin.replace(year=begin.year + years)):
        day = found.date().replace(year=found.year - years)
        if rule.names_no_day:
            day = day.replace(day=min(anchor.day, monthrange(day.year, day.month)[1]))
        if rule.parts.until is not None and day > rule.parts.until:
            return
        if day > after and day >= anchor and day not in rule.parts.except_on:
            yield day


def first_after(rule: Rule, anchor: date, after: date) -> date | None:
    """Give the first day of a rule that is later than `after`; None if there is none any more."""
    return next(days_after(rule, anchor, after), None)


def last_between(rule: Rule, anchor: date, after: date, before: date) -> date | None:
    """Give the last day of a rule that is later than `after` and earlier than `before`."""
    span_days = 2 * rule.interval * _INTERVAL_DAYS[rule.pattern]
    while True:
        since = max(after, before - timedelta(days=min(span_days, (before - after).days)))
        found = list(takewhile(lambda day: day < before, days_after(rule, anchor, since)))
        if found or since <= after:
            return found[-1] if found else None
        span_days *= 8


def _begin(rule: Rule, anchor: date, after: date) -> date:
    """Give the anchor, or the begin of a later interval of its that ends after `after`.

    What comes before has not to be gone through then, unless it is counted.
    """
    if rule.names_no_day:
        anchor = anchor.replace(day=1)
    if after <= anchor or rule.parts.count is not None:
        return anchor
    match rule.pattern:
        case RecurrencePattern.YEARLY:
            years = _whole(after.year - anchor.year, rule.interval)
            return date(anchor.year + years, 1, 1) if years else anchor
        case RecurrencePattern.MONTHLY:
            passed = (after.year - anchor.year) * 12 + after.month - anchor.month
            months = _whole(passed, rule.interval)
            years, month0 = divmod(anchor.month - 1 + months, 12)
            return date(anchor.year + years, month0 + 1, 1) if months else anchor
        case RecurrencePattern.WEEKLY:
            week = anchor - _DAY * ((anchor.weekday() - rule.parts.week_start) % 7)
            days = _whole((after - week).days, rule.interval * 7)
            return week + _DAY * days if days else anchor
        case _:
            return anchor + _DAY * _whole((after - anchor).days, rule.interval)


def _whole(length: int, interval: int) -> int:
    return length // interval * interval


def _years_to_the_end(rule: Rule, begin: date) -> int:
    """Give how many years later the same search meets the calendar's end sooner.

    There, and nowhere before, dateutil gives up on a rule that gives nothing, like 30 February:
    from this year on that is 8,000 years, seconds.
    """
    interval_years = rule.interval * _INTERVAL_DAYS[rule.pattern] // 365 + 1
    needed = max(SEARCH_YEARS, SEARCH_INTERVALS * interval_years)
    return max(0, (MAXYEAR - begin.year - needed) // CYCLE_YEARS * CYCLE_YEARS)


def _evaluate(rule: Rule, anchor: date, begin: date) -> Iterator[datetime]:
    parts = rule.parts
    weekdays = tuple(weekday(day.weekday, day.ordinal) for day in parts.by_day)
    if rule.pattern is RecurrencePattern.WEEKLY and not weekdays:
        weekdays = (weekday(anchor.weekday()),)
    months = parts.by_month
    if rule.pattern is RecurrencePattern.YEARLY and rule.names_no_day and not months:
        months = (anchor.month,)
    return iter(
        rrule(
            _FREQUENCY[rule.pattern],
            dtstart=datetime(begin.year, begin.month, begin.day),  # noqa: DTZ001 - days only
            interval=rule.interval,
            wkst=parts.week_start,
            count=parts.count,
            bysetpos=parts.by_set_pos or None,
            bymonth=months or None,
            bymonthday=1 if rule.names_no_day else parts.by_month_day or None,
            byweekday=weekdays or None,
        )
    )
