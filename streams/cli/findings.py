"""Findings: what `taskflow doctor` says of each thing that it has looked at."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How a thing is: `warn` works for now, `bad` does not, or will lose something."""

    OK = "ok"
    WARN = "warn"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: how a thing is, and what to do about it."""

    level: Level
    what: str
    text: str
    cure: str | None = None


def ok(what: str, text: str) -> Finding:
    """Say that a thing is as it should be."""
    return Finding(Level.OK, what, text)


def warn(what: str, text: str, cure: str) -> Finding:
    """Say that a thing works, and should be otherwise."""
    return Finding(Level.WARN, what, text, cure)


def bad(what: str, text: str, cure: str) -> Finding:
    """Say that a thing does not work."""
    return Finding(Level.BAD, what, text, cure)
