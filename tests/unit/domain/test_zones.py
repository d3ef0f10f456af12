"""Wall clocks across odd days: a reminder stays at its time, comes once, and in its order."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import tzdata
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.domain.zones import Distance, day_of, distance_of, instant_at, zone_named

ZONES = [
    "Australia/Lord_Howe",  # 30 minutes of daylight saving time
    "Asia/Tehran",  # by the Persian calendar, until 2022
    "America/Sao_Paulo",  # at midnight, until 2019
    "Pacific/Apia",  # without 30 December 2011
    "Europe/Dublin",  # winter time is the exception, by law
]
SPANS = st.integers(-3, 3)
TIMES = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
DAYS = st.dates(date(2009, 1, 1), date(2027, 12, 31))


def at(zone: str, day: str, clock: str) -> str:
    """Give what a clock of that zone shows when a reminder of a time on a day comes."""
    found = instant_at(
        date.fromisoformat(day), Distance(0, time.fromisoformat(clock)), zone_named(zone)
    )
    assert found is not None
    return f"{found.astimezone(zone_named(zone)):%Y-%m-%d %H:%M} {found:%H:%M}Z"


@pytest.mark.parametrize(
    ("zone", "day", "clock", "expected"),
    [
        # Does not exist: forward by what is left out.
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-04 02:45 15:45Z"),
        ("Asia/Tehran", "2021-03-22", "00:30", "2021-03-22 01:30 21:00Z"),
        ("America/Sao_Paulo", "2018-11-04", "00:00", "2018-11-04 01:00 03:00Z"),
        ("Pacific/Apia", "2011-12-30", "09:00", "2011-12-31 09:00 19:00Z"),
        ("Europe/Dublin", "2027-03-28", "01:30", "2027-03-28 02:30 01:30Z"),
        # Comes twice: the first.
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05 01:45 14:45Z"),
        ("Asia/Tehran", "2021-09-21", "23:30", "2021-09-21 23:30 19:00Z"),
        ("America/Sao_Paulo", "2018-02-17", "23:30", "2018-02-17 23:30 01:30Z"),
        ("Europe/Dublin", "2026-10-25", "01:30", "2026-10-25 01:30 00:30Z"),
        # An ordinary time stays what it is, before and after.
        ("Europe/Dublin", "2027-03-27", "09:00", "2027-03-27 09:00 09:00Z"),
        ("Europe/Dublin", "2027-03-29", "09:00", "2027-03-29 09:00 08:00Z"),
        ("Asia/Tehran", "2023-03-22", "00:30", "2023-03-22 00:30 21:00Z"),
        ("America/Sao_Paulo", "2019-11-03", "00:00", "2019-11-03 00:00 03:00Z"),
    ],
)
def test_a_time_that_does_not_exist_moves_forward_and_one_that_comes_twice_is_the_first(
    zone: str, day: str, clock: str, expected: str
) -> None:
    assert at(zone, day, clock) == expected


@pytest.mark.parametrize("zone", ZONES)
@settings(deadline=None)
@given(DAYS, SPANS, TIMES)
def test_a_time_that_exists_is_shown_by_the_clock_and_gives_its_distance_back(
    zone: str, due_on: date, days: int, clock: time
) -> None:
    own = zone_named(zone)
    wanted = Distance(days, clock)
    instant = instant_at(due_on, wanted, own)
    assert instant is not None
    shown = instant.astimezone(own).replace(tzinfo=None)
    planned = datetime.combine(due_on + timedelta(days=days), clock)
    # Only forward, by at most the day that Apia left out.
    assert timedelta() <= shown - planned <= timedelta(days=1)
    if shown == planned:
        assert distance_of(instant, due_on, own) == wanted
        assert instant.astimezone(own).fold == 0


@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_time_comes_once_a_day_and_in_order_for_18_years(zone: str) -> None:
    """But in Apia, whose 30 December 2011 falls on the 31st."""
    own = zone_named(zone)
    days = [date(2009, 1, 1) + timedelta(days=n) for n in range(6_900)]
    for clock in (time(0), time(0, 30), time(1, 45), time(2, 15), time(9), time(23, 45)):
        instants = [instant_at(day, Distance(0, clock), own) for day in days]
        known = [instant for instant in instants if instant is not None]
        assert len(known) == len(days)
        same = sum(before == after for before, after in pairwise(known))
        assert same == (1 if zone == "Pacific/Apia" else 0)
        assert all(before <= after for before, after in pairwise(known))


def test_the_zones_are_those_of_the_package_tzdata() -> None:
    """Whatever the machine has; an unknown name is UTC, and no path."""
    print(f"tzdata {tzdata.__version__}, IANA {tzdata.IANA_VERSION}")
    instant = datetime(2027, 7, 1, 12, tzinfo=UTC)
    for name in ZONES:
        assert str(zone_named(name)) == name
        assert day_of(instant, zone_named(name)) == day_of(instant, ZoneInfo(name))
    for name in ("", "No/Where", "../zoneinfo/UTC", "/etc/passwd", "Europe", "__init__.py"):
        assert str(zone_named(name)) == "UTC"


def test_a_reminder_beyond_the_years_that_there_are_is_none() -> None:
    far = Distance(400, time(9))
    assert instant_at(date(9999, 12, 1), far, zone_named("UTC")) is None
    late = Distance(0, time(23))
    assert instant_at(date(9999, 12, 31), late, zone_named("America/Sao_Paulo")) is None
