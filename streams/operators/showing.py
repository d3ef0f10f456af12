"""Showing: the same findings as a table for people, or as JSON for programs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from schemas import codec

Row = Mapping[str, object]


def as_json(value: object) -> str:
    """Give one line of JSON, with instants in UTC; bytes must have been turned into text."""
    return codec.encode(_plain(value)).decode()


def _plain(value: object) -> object:
    """Turn ids and instants, the driver's own too, into the texts that clients know."""
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case Mapping():
            return {str(name): _plain(member) for name, member in value.items()}
        case list() | tuple():
            return [_plain(item) for item in value]
        case _:
            return value


def as_table(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Give lines with aligned columns under their names; none for no rows."""
    if not rows:
        return ""
    lines = [list(columns)] + [[as_text(row.get(name)) for name in columns] for row in rows]
    widths = [max(len(line[n]) for line in lines) for n in range(len(columns))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def as_text(value: object) -> str:
    """Give a value as a person reads it, on one line, without what a terminal would act upon."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.1f}"
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        case str() | int() | UUID():
            return "".join(c if c.isprintable() else "�" for c in str(value))
        case _:
            return as_text(as_json(value))
