"""When a recurring task is due next."""

from calendar import monthrange
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tasks import INTERVAL_MAX, RecurrencePattern
from schemas.times import DAY_MAX, DAY_MIN
from streams.domain.recurrence import next_occurrence

DAILY, WEEKLY = RecurrencePattern.DAILY, RecurrencePattern.WEEKLY
MONTHLY, YEARLY = RecurrencePattern.MONTHLY, RecurrencePattern.YEARLY
RECURRING = [DAILY, WEEKLY, MONTHLY, YEARLY]
DAYS = st.dates(DAY_MIN, DAY_MAX)
EARLY_DAYS = st.dates(DAY_MIN, date(8999, 12, 31))
INTERVALS = st.integers(1, INTERVAL_MAX)


@pytest.mark.parametrize(
    ("pattern", "interval", "due", "expected"),
    [
        (DAILY, 1, "2027-01-31", "2027-02-01"),
        (DAILY, 1, "2028-02-28", "2028-02-29"),
        (DAILY, 365, "2027-03-01", "2028-02-29"),
        (WEEKLY, 1, "2027-12-29", "2028-01-05"),
        (WEEKLY, 2, "2027-01-01", "2027-01-15"),
        (MONTHLY, 1, "2027-01-31", "2027-02-28"),
        (MONTHLY, 1, "2028-01-31", "2028-02-29"),
        (MONTHLY, 1, "2027-11-30", "2027-12-30"),
        (MONTHLY, 1, "2027-12-31", "2028-01-31"),
        (MONTHLY, 12, "2028-02-29", "2029-02-28"),
        (MONTHLY, 999, "2027-01-15", "2110-04-15"),
        (YEARLY, 1, "2028-02-29", "2029-02-28"),
        (YEARLY, 4, "2028-02-29", "2032-02-29"),
        (YEARLY, 1, "2099-02-28", "2100-02-28"),
    ],
)
def test_the_next_day_is_one_interval_later(
    pattern: RecurrencePattern, interval: int, due: str, expected: str
) -> None:
    due_on = date.fromisoformat(due)
    assert next_occurrence(pattern, interval, due_on) == date.fromisoformat(expected)


@given(INTERVALS, DAYS)
def test_without_a_pattern_there_is_no_next_day(interval: int, due_on: date) -> None:
    assert next_occurrence(RecurrencePattern.NONE, interval, due_on) is None


@given(st.sampled_from(RECURRING), INTERVALS, EARLY_DAYS)
def test_the_next_day_is_later_and_there_is_one(
    pattern: RecurrencePattern, interval: int, due_on: date
) -> None:
    found = next_occurrence(pattern, interval, due_on)
    assert found is not None
    assert found > due_on


@given(st.sampled_from(RECURRING), INTERVALS, DAYS)
def test_after_the_last_day_that_there_is_comes_none_and_no_error(
    pattern: RecurrencePattern, interval: int, due_on: date
) -> None:
    found = next_occurrence(pattern, interval, due_on)
    assert found is None or due_on < found <= DAY_MAX
    assert next_occurrence(pattern, interval, DAY_MAX) is None


@given(INTERVALS, EARLY_DAYS)
def test_days_and_weeks_are_counted_exactly(interval: int, due_on: date) -> None:
    assert next_occurrence(DAILY, interval, due_on) == due_on + timedelta(days=interval)
    assert next_occurrence(WEEKLY, interval, due_on) == due_on + timedelta(weeks=interval)


@given(INTERVALS, EARLY_DAYS)
def test_months_are_counted_exactly_and_keep_the_day_or_take_the_last_one(
    interval: int, due_on: date
) -> None:
    found = next_occurrence(MONTHLY, interval, due_on)
    assert found is not None
    assert (found.year - due_on.year) * 12 + found.month - due_on.month == interval
    assert found.day == min(due_on.day, monthrange(found.year, found.month)[1])


@given(st.integers(1, INTERVAL_MAX // 12), EARLY_DAYS)
def test_a_year_is_twelve_months(interval: int, due_on: date) -> None:
    yearly = next_occurrence(YEARLY, interval, due_on)
    assert yearly == next_occurrence(MONTHLY, interval * 12, due_on)


@given(st.sampled_from(RECURRING), INTERVALS, EARLY_DAYS, st.integers(1, 40))
def test_a_later_day_is_never_followed_by_an_earlier_one(
    pattern: RecurrencePattern, interval: int, due_on: date, apart: int
) -> None:
    first = next_occurrence(pattern, interval, due_on)
    second = next_occurrence(pattern, interval, due_on + timedelta(days=apart))
    assert first is not None
    assert second is not None
    assert first <= second
