"""Instants and days as clients write them: RFC 3339 and nothing looser."""

import re
from datetime import UTC, date, datetime, time
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

_INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_WALL_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
DAY_MIN, DAY_MAX = date(1900, 1, 1), date(9999, 12, 31)


def _instant_text(value: object) -> object:
    if isinstance(value, datetime) and value.tzinfo:
        return value
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise ValueError("must be an RFC 3339 instant, as in 2027-01-31T08:00:00Z")
    return value


def _day_text(value: object) -> object:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError("must be a day, as in 2027-01-31")
    return value


def read_wall_clock(value: object) -> object:
    """Take HH:MM and nothing looser."""
    if isinstance(value, time) or value is None:
        return value
    if not isinstance(value, str) or not _WALL_CLOCK.fullmatch(value):
        raise ValueError("must be a time of the day, as in 07:30")
    return value


def _in_utc(value: datetime) -> datetime:
    try:
        utc = value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("must be within the years 1900 to 9999") from error
    if utc.year < DAY_MIN.year:
        raise ValueError("must be within the years 1900 to 9999")
    return utc


Instant = Annotated[datetime, BeforeValidator(_instant_text), AfterValidator(_in_utc)]
"""An instant, in UTC once it is read; an offset other than Z is taken and converted."""

Day = Annotated[date, Field(ge=DAY_MIN, le=DAY_MAX), BeforeValidator(_day_text)]
"""A calendar day, which has no zone of its own."""
