"""The rule of a recurrence: what an RFC 5545 RRULE may say beside FREQ and INTERVAL."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from types import MappingProxyType
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

RULE_MAX = 500
COUNT_MAX = 1_000
ORDINAL_MAX, SET_POSITION_MAX = 53, 366
WEEKDAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_ELSEWHERE = MappingProxyType({"FREQ": "recurrence_pattern", "INTERVAL": "recurrence_interval"})
_NUMBER = re.compile(r"[+-]?[0-9]{1,4}", re.ASCII)
_BY_DAY = re.compile(rf"([+-]?[0-9]{{1,2}})?({'|'.join(WEEKDAYS)})", re.ASCII)
_DAY = re.compile(r"[0-9]{8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ByDay:
    """A weekday, 0 for Monday; with an ordinal only that one of the month or year.

    A negative ordinal counts from the end.
    """

    weekday: int
    ordinal: int | None = None


@dataclass(frozen=True, slots=True)
class RuleParts:
    """A rule as it was read; what is empty or None was not given."""

    by_day: tuple[ByDay, ...] = ()
    by_month_day: tuple[int, ...] = ()
    by_month: tuple[int, ...] = ()
    by_set_pos: tuple[int, ...] = ()
    week_start: int = 0
    count: int | None = None
    until: date | None = None
    except_on: tuple[date, ...] = ()


def parse_rule(text: str) -> RuleParts:
    """Read `;`-separated parts, as `BYDAY=MO,-1FR;COUNT=10`; a ValueError names the wrong part."""
    found: dict[str, object] = {}
    for part in text.split(";"):
        name, separator, value = part.partition("=")
        _check_name(name, separator)
        field, read = _PARTS[name]
        if field in found:
            raise ValueError(f"{name} must be given once")
        found[field] = read(name, value)
    _check_together(RuleParts(**found))  # type: ignore[arg-type]  # each is read as its field is
    return RuleParts(**found)  # type: ignore[arg-type]  # same


def _check_name(name: str, separator: str) -> None:
    if name in _ELSEWHERE:
        raise ValueError(f"{name} does not belong here: set {_ELSEWHERE[name]}")
    if name not in _PARTS:
        known = ", ".join(_PARTS)
        shown = name if re.fullmatch(r"[A-Za-z:-]{1,20}", name) else "a part"
        raise ValueError(f"{shown} is not known here; known are {known}, in upper case")
    if not separator:
        raise ValueError(f"{name} must have a value, as in {name}=…")


def _check_together(parts: RuleParts) -> None:
    if parts.count is not None and parts.until is not None:
        raise ValueError("COUNT and UNTIL must not be given both (RFC 5545, section 3.3.10)")
    if parts.by_set_pos and not (parts.by_day or parts.by_month_day or parts.by_month):
        raise ValueError("BYSETPOS must have another BY part to choose from")


def _numbers(name: str, value: str, *, most: int, signed: bool) -> tuple[int, ...]:
    return tuple(_number(name, text, most=most, signed=signed) for text in value.split(","))


def _number(name: str, text: str, *, most: int, signed: bool = False) -> int:
    if _NUMBER.fullmatch(text):
        number = int(text)
        if 1 <= (abs(number) if signed else number) <= most:
            return number
    either = f", or -{most} to -1" if signed else ""
    raise ValueError(f"{name} must be of numbers from 1 to {most}{either}")


def _weekdays(name: str, value: str) -> tuple[ByDay, ...]:
    return tuple(_by_day(name, text) for text in value.split(","))


def _by_day(name: str, text: str) -> ByDay:
    match = _BY_DAY.fullmatch(text)
    ordinal = int(match[1]) if match and match[1] else None
    if match is None or (ordinal is not None and not 1 <= abs(ordinal) <= ORDINAL_MAX):
        raise ValueError(f"{name} must be of weekdays, as in MO or, the last one, -1FR")
    return ByDay(WEEKDAYS.index(match[2]), ordinal)


def _week_start(name: str, value: str) -> int:
    if value not in WEEKDAYS:
        raise ValueError(f"{name} must be one of {', '.join(WEEKDAYS)}")
    return WEEKDAYS.index(value)


def _day(name: str, text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError(f"{name} must be of days, as in 20270131")
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise ValueError(f"{name} must be of days that there are, as 20270131") from None


def _days(name: str, value: str) -> tuple[date, ...]:
    return tuple(_day(name, text) for text in value.split(","))


_PARTS: Mapping[str, tuple[str, Callable[[str, str], object]]] = MappingProxyType(
    {
        "BYDAY": ("by_day", _weekdays),
        "BYMONTHDAY": ("by_month_day", partial(_numbers, most=31, signed=True)),
        "BYMONTH": ("by_month", partial(_numbers, most=12, signed=False)),
        "BYSETPOS": ("by_set_pos", partial(_numbers, most=SET_POSITION_MAX, signed=True)),
        "WKST": ("week_start", _week_start),
        "COUNT": ("count", partial(_number, most=COUNT_MAX)),
        "UNTIL": ("until", _day),
        "EXDATE": ("except_on", _days),
    }
)
"""The subset of RFC 5545, and EXDATE, which is a property of its own there."""


def _a_rule(text: str) -> str:
    parse_rule(text)
    return text


RecurrenceRule = Annotated[
    str, StringConstraints(min_length=1, max_length=RULE_MAX), AfterValidator(_a_rule)
]
