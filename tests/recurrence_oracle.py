"""What a series should have become: told by a program that shares nothing with the one tested."""

from calendar import monthrange
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


def step(kind: str, base: date, intervals: int) -> date:
    if kind != "monthly":
        return base + timedelta(days=intervals * {"daily": 1, "weekly": 7}[kind])
    year, month = base.year + (base.month - 1 + intervals) // 12, (base.month - 1 + intervals) % 12
    return date(year, month + 1, min(base.day, monthrange(year, month + 1)[1]))


def due_days(
    kind: str, interval: int, mode: str, policy: str, zone: str, first: date,
    done_at: Sequence[datetime],
) -> list[date]:  # fmt: skip
    """Give the days of all occurrences of a series whose tasks were done at these instants."""
    days = [first]
    for instant in done_at:
        today, due = instant.astimezone(ZoneInfo(zone)).date(), days[-1]
        if mode == "completion":
            days.append(step(kind, today, interval))
            continue
        following = [step(kind, first, interval * n) for n in range(1, 900)]
        missed = [day for day in following if due < day < today]
        ahead = next(day for day in following if day > due and day >= today)
        everything = next(day for day in following if day > due)
        latest = missed[-1] if missed else ahead
        days.append({"none": ahead, "one": latest, "all": everything}[policy])
    return days
