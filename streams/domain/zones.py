"""Wall clocks: what an instant is in a user's zone, and the other way round.

The zones are those of the package tzdata, on every machine, whatever its own files say.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_ZONES_MAX = 1_000


@lru_cache(maxsize=_ZONES_MAX)
def zone_named(name: str) -> ZoneInfo:
    """Give a zone by its IANA name; UTC for a name that tzdata has not, or no longer."""
    parts = name.split("/")
    if not all(part.replace("_", "").replace("-", "").replace("+", "").isalnum() for part in parts):
        return zone_named("UTC")
    try:
        with files("tzdata.zoneinfo").joinpath(*parts).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError):
        return zone_named("UTC")


@dataclass(frozen=True, slots=True)
class Distance:
    """A reminder's place beside a due day: so many days from it, at a time of the wall clock."""

    days: int
    at: time


def day_of(instant: datetime, zone: ZoneInfo) -> date:
    """Give the day that it is then in a zone."""
    return instant.astimezone(zone).date()


def distance_of(remind_at: datetime, due_on: date | None, zone: ZoneInfo) -> Distance:
    """Give a reminder's distance; without a due day it is a time on the day itself."""
    local = remind_at.astimezone(zone)
    days = (local.date() - due_on).days if due_on else 0
    return Distance(days, local.time())


def instant_at(due_on: date, distance: Distance, zone: ZoneInfo) -> datetime | None:
    """Give the instant at a distance from a day; None beyond the years that there are.

    A time that does not exist moves forward by what is left out, and of one that comes twice it is
    the first (RFC 5545, section 3.3.5).
    """
    try:
        local = datetime.combine(due_on + timedelta(days=distance.days), distance.at, zone)
        return local.replace(fold=0).astimezone(UTC)
    except OverflowError:
        return None
