"""The days of a rule: as dateutil's own tests have them, and for ever in their order."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from time import process_time

import pytest
from dateutil.rrule import rrulestr
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from schemas.recurrence import WEEKDAYS, parse_rule
from schemas.tasks import INTERVAL_MAX, RecurrencePattern
from schemas.times import DAY_MAX, DAY_MIN
from streams.domain.recurrence import Rule, days_after, first_after, last_between, misfit

DAILY, WEEKLY = RecurrencePattern.DAILY, RecurrencePattern.WEEKLY
MONTHLY, YEARLY = RecurrencePattern.MONTHLY, RecurrencePattern.YEARLY
RECURRING = [DAILY, WEEKLY, MONTHLY, YEARLY]
DAYS = st.dates(DAY_MIN, DAY_MAX)
EARLY_DAYS = st.dates(DAY_MIN, date(8999, 12, 31))
THESE_DAYS = st.dates(date(1990, 1, 1), date(2110, 12, 31))
INTERVALS = st.integers(1, INTERVAL_MAX)
DAY = timedelta(days=1)
UNHURRIED = settings(deadline=None)
"""A rule that gives nothing is searched for 0.2 s, and longer on a busy machine."""
CASES = [
    line.split(" | ")
    for line in Path(__file__).with_name("rrule_cases.txt").read_text().splitlines()
    if not line.startswith("#")
]
SEARCH_S_MAX = 4.0
"""Above the 0.2 s that each of three takes, and below the 2.5 s and more of the whole calendar."""


def rule(pattern: RecurrencePattern, interval: int = 1, text: str | None = None) -> Rule:
    return Rule(pattern, interval, parse_rule(text)) if text else Rule(pattern, interval)


@st.composite
def texts(draw: st.DrawFn, pattern: RecurrencePattern) -> str:
    """Give parts that fit a pattern, without an end."""
    of_months = pattern in {MONTHLY, YEARLY}
    ordinals = st.sampled_from(["", "1", "2", "-1", "+3", "5"]) if of_months else st.just("")
    weekdays = st.builds("".join, st.tuples(ordinals, st.sampled_from(WEEKDAYS)))
    month_days = st.integers(1, 31) | st.integers(-31, -1)
    parts = {"BYDAY": weekdays, "BYMONTH": st.integers(1, 12), "BYMONTHDAY": month_days}
    if pattern is WEEKLY:
        del parts["BYMONTHDAY"]
    names = draw(st.sets(st.sampled_from(sorted(parts)), min_size=1))
    found = [
        f"{name}={','.join(map(str, draw(st.lists(parts[name], min_size=1, max_size=3))))}"
        for name in sorted(names)
    ]
    if draw(st.booleans()):
        found.append(f"BYSETPOS={draw(st.sampled_from([1, 2, -1, -2]))}")
    found.append(f"WKST={draw(st.sampled_from(WEEKDAYS))}")
    return ";".join(found)


RULES = st.sampled_from(RECURRING).flatmap(
    lambda pattern: st.builds(rule, st.just(pattern), st.integers(1, 30), texts(pattern))
)
PLAIN = st.builds(rule, st.sampled_from(RECURRING), INTERVALS)


@pytest.mark.parametrize(("name", "pattern", "interval", "text", "start", "expected"), CASES)
def test_the_cases_of_dateutils_own_tests_agree(
    name: str, pattern: str, interval: str, text: str, start: str, expected: str
) -> None:
    """The anchor counts, if the rule meets it; what RFC 5545 forbids is refused."""
    found = rule(RecurrencePattern(pattern), int(interval), None if text == "-" else text)
    refused = name.startswith("!")
    assert (misfit(found.pattern, found.parts) is not None) is refused
    if not refused:
        anchor = date.fromisoformat(start)
        days = [str(day) for day in islice(days_after(found, anchor, anchor - DAY), 50)]
        assert days == expected.split()


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
        (MONTHLY, 12, "2028-02-29", "2029-02-28"),
        (MONTHLY, 999, "2027-01-15", "2110-04-15"),
        (YEARLY, 1, "2028-02-29", "2029-02-28"),
        (YEARLY, 4, "2028-02-29", "2032-02-29"),
        (YEARLY, 999, "2027-02-28", "3026-02-28"),
    ],
)
def test_the_next_day_is_one_interval_later(
    pattern: RecurrencePattern, interval: int, due: str, expected: str
) -> None:
    due_on = date.fromisoformat(due)
    assert first_after(rule(pattern, interval), due_on, due_on) == date.fromisoformat(expected)


@pytest.mark.parametrize(
    ("pattern", "text", "anchor", "expected"),
    [
        (MONTHLY, None, "2027-01-31", "2027-02-28 2027-03-31 2027-04-30 2027-05-31"),
        (YEARLY, None, "2028-02-29", "2029-02-28 2030-02-28 2031-02-28 2032-02-29"),
        (YEARLY, "BYMONTH=2,4", "2027-12-31", "2028-02-29 2028-04-30 2029-02-28 2029-04-30"),
        (MONTHLY, "BYMONTHDAY=31", "2027-01-31", "2027-03-31 2027-05-31"),
        (MONTHLY, "BYMONTHDAY=-1", "2027-01-31", "2027-02-28 2027-03-31"),
        (MONTHLY, "BYDAY=-1FR", "2027-01-29", "2027-02-26 2027-03-26"),
        (MONTHLY, "BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2027-01-29", "2027-02-26 2027-03-31"),
        (WEEKLY, "EXDATE=20270111,20270125", "2027-01-04", "2027-01-18 2027-02-01"),
        (DAILY, "UNTIL=20270106", "2027-01-04", "2027-01-05 2027-01-06"),
        (DAILY, "COUNT=4;EXDATE=20270106", "2027-01-04", "2027-01-05 2027-01-07"),
    ],
)
def test_a_rule_says_which_days_follow(
    pattern: RecurrencePattern, text: str | None, anchor: str, expected: str
) -> None:
    """A month without the anchor's day takes its last, unless a part says which day it is."""
    start, days = date.fromisoformat(anchor), expected.split()
    found = list(islice(days_after(rule(pattern, 1, text), start, start), len(days)))
    assert [str(day) for day in found] == days
    if text and ("UNTIL" in text or "COUNT" in text):
        assert first_after(rule(pattern, 1, text), start, found[-1]) is None


@UNHURRIED
@given(PLAIN | RULES, THESE_DAYS)
def test_each_day_is_later_than_the_one_before(found: Rule, anchor: date) -> None:
    days = list(islice(days_after(found, anchor, anchor), 30))
    assert all(before < after for before, after in pairwise([anchor, *days]))


@UNHURRIED
@given(PLAIN | RULES, THESE_DAYS, st.integers(1, 25))
@example(rule(WEEKLY, 1, "BYDAY=MO,WE,FR;BYSETPOS=2"), date(2027, 1, 6), 2)
def test_the_days_from_any_day_on_are_the_same_as_from_the_anchor_on(
    found: Rule, anchor: date, index: int
) -> None:
    """What is passed over unseen is nothing but what comes before."""
    days = list(islice(days_after(found, anchor, anchor), 30))
    assume(len(days) > index)
    assert first_after(found, anchor, days[index - 1]) == days[index]
    between = days[index] - DAY
    assert first_after(found, anchor, between) == days[index]
    assert last_between(found, anchor, anchor, days[index]) == days[index - 1]


@UNHURRIED
@given(RULES, THESE_DAYS)
@example(rule(WEEKLY, 2, "BYDAY=SU;BYSETPOS=1;WKST=SU"), date(2027, 1, 6))
def test_the_days_are_those_of_dateutil(found: Rule, anchor: date) -> None:
    """Told to it as a text, from the anchor on, without what makes ours end in time."""
    days = list(islice(days_after(found, anchor, anchor), 8))
    assume(days and not found.names_no_day)
    text = rule_text(found)
    told = rrulestr(f"FREQ={found.pattern.upper()};INTERVAL={found.interval};{text}",
                    dtstart=datetime(anchor.year, anchor.month, anchor.day))  # fmt: skip  # noqa: DTZ001
    theirs = [day.date() for day in islice(told, 9)]
    assert days == [day for day in theirs if day > anchor][: len(days)]


def rule_text(found: Rule) -> str:
    parts = found.parts
    by_day = ",".join(f"{day.ordinal or ''}{WEEKDAYS[day.weekday]}" for day in parts.by_day)
    lists = {"BYMONTHDAY": parts.by_month_day, "BYMONTH": parts.by_month}
    named = {name: ",".join(map(str, values)) for name, values in lists.items() if values}
    named |= {"BYDAY": by_day} if by_day else {}
    named |= {"BYSETPOS": str(parts.by_set_pos[0])} if parts.by_set_pos else {}
    return ";".join(f"{k}={v}" for k, v in (named | {"WKST": WEEKDAYS[parts.week_start]}).items())


@UNHURRIED
@given(st.sampled_from([MONTHLY, YEARLY]), st.integers(1, 24), THESE_DAYS)
def test_the_anchors_day_is_kept_over_40_years(
    pattern: RecurrencePattern, interval: int, anchor: date
) -> None:
    months = interval * (12 if pattern is YEARLY else 1)
    last = anchor.replace(year=anchor.year + 40, day=1)
    due_on, count = anchor, 0
    while due_on < last:
        found = first_after(rule(pattern, interval), anchor, due_on)
        assert found is not None
        due_on, count = found, count + 1
        assert due_on.day == min(anchor.day, monthrange(due_on.year, due_on.month)[1])
        passed = (due_on.year - anchor.year) * 12 + due_on.month - anchor.month
        assert passed == count * months


@UNHURRIED
@given(st.sampled_from(RECURRING), INTERVALS, EARLY_DAYS)
def test_the_next_day_is_later_and_there_is_one(
    pattern: RecurrencePattern, interval: int, due_on: date
) -> None:
    found = first_after(rule(pattern, interval), due_on, due_on)
    assert found is not None
    assert found > due_on


@UNHURRIED
@given(PLAIN, DAYS)
def test_after_the_last_day_that_there_is_comes_none_and_no_error(
    found: Rule, due_on: date
) -> None:
    day = first_after(found, due_on, due_on)
    assert day is None or due_on < day <= DAY_MAX
    assert first_after(found, DAY_MAX, DAY_MAX) is None


@UNHURRIED
@given(INTERVALS, EARLY_DAYS)
def test_days_and_weeks_are_counted_exactly(interval: int, due_on: date) -> None:
    days, weeks = rule(DAILY, interval), rule(WEEKLY, interval)
    assert first_after(days, due_on, due_on) == due_on + timedelta(days=interval)
    assert first_after(weeks, due_on, due_on) == due_on + timedelta(weeks=interval)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (DAILY, "BYMONTH=2;BYMONTHDAY=30"),
        (DAILY, "BYMONTH=2;BYMONTHDAY=30;COUNT=1000"),
        (WEEKLY, "BYDAY=MO;BYSETPOS=2"),
        (MONTHLY, "BYDAY=6MO"),
        (YEARLY, "BYMONTH=4;BYMONTHDAY=31"),
        (DAILY, "BYMONTH=2;BYMONTHDAY=30;EXDATE=20270101"),
    ],
)
def test_a_rule_that_gives_nothing_ends_and_is_not_searched_for_ever(
    pattern: RecurrencePattern, text: str
) -> None:
    began_at = process_time()
    for year in (1900, 2027, 9000):
        day = date(year, 1, 1)
        assert first_after(rule(pattern, 1, text), day, day) is None
    assert process_time() - began_at < SEARCH_S_MAX


def test_a_rare_day_is_found() -> None:
    """A 29 February that is a Monday, across the year 2100 that has none."""
    rare = rule(DAILY, 1, "BYMONTH=2;BYMONTHDAY=29;BYDAY=MO")
    assert first_after(rare, date(2072, 3, 1), date(2072, 3, 1)) == date(2112, 2, 29)
