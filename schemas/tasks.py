"""A task: what a client sets, and what the server adds."""

from datetime import date
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
)

from schemas.recurrence import RULE_MAX, RecurrenceRule
from schemas.times import Day, Instant

TAGS_MAX = 20
DESCRIPTION_MAX = 10_000
INTERVAL_MAX = 999

Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Description = Annotated[str, StringConstraints(max_length=DESCRIPTION_MAX)]
TagName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=50)]
Interval = Annotated[int, Field(ge=1, le=INTERVAL_MAX, strict=True)]


class Status(StrEnum):
    """Whether a task is still to be done."""

    PENDING = "pending"
    COMPLETED = "completed"


class Priority(StrEnum):
    """How urgent a task is, least first."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class RecurrencePattern(StrEnum):
    """The unit of a recurrence's interval."""

    NONE = "none"
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"
    YEARLY = "yearly"


class RecurrenceMode(StrEnum):
    """What the next occurrence counts from: the due day, or the day of completion."""

    DUE = "due"
    COMPLETION = "completion"


class RecurrenceCatchUp(StrEnum):
    """What becomes of occurrences that were missed when one is completed late.

    All are left out, or the latest is made up for, or each is.
    """

    NONE = "none"
    ONE = "one"
    ALL = "all"


def unique_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Keep the first spelling of each name, compared without case, sorted without case."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.casefold(), name)
    return tuple(first[key] for key in sorted(first))


TagNames = Annotated[tuple[TagName, ...], Field(max_length=TAGS_MAX), AfterValidator(unique_names)]


class TaskFields(BaseModel):
    """All that a client sets of a task, with its defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: Title
    description: Description | None = None
    priority: Priority = Priority.MEDIUM
    due_date: Day | None = None
    remind_at: Instant | None = None
    recurrence_pattern: RecurrencePattern = RecurrencePattern.NONE
    recurrence_interval: Interval = 1
    recurrence_mode: RecurrenceMode = RecurrenceMode.DUE
    recurrence_rule: RecurrenceRule | None = None
    recurrence_catch_up: RecurrenceCatchUp = RecurrenceCatchUp.NONE
    tags: TagNames = ()


class SeriesValues(BaseModel):
    """What a series has where an occurrence differs from it.

    What it names is in `model_fields_set`. Its reminder is counted from the day `remind_from`, and
    both are named together.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: Title = "-"
    description: Description | None = None
    priority: Priority = Priority.MEDIUM
    due_date: date | None = None
    remind_at: AwareDatetime | None = None
    remind_from: date | None = None
    tags: tuple[TagName, ...] = Field(default=(), max_length=TAGS_MAX)


class Scope(StrEnum):
    """For what an edit of a recurring task holds."""

    THIS = "this"
    FOLLOWING = "following"


class Task(BaseModel):
    """A task as everyone sees it: over HTTP, in events and in the audit log."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: UUID
    user_id: UUID
    title: Title
    description: Description | None
    status: Status
    completed: bool
    priority: Priority
    due_date: date | None
    remind_at: AwareDatetime | None
    recurrence_pattern: RecurrencePattern
    recurrence_interval: Interval
    recurrence_mode: RecurrenceMode
    # Older events are without these three.
    recurrence_rule: str | None = Field(default=None, max_length=RULE_MAX)
    recurrence_catch_up: RecurrenceCatchUp = RecurrenceCatchUp.NONE
    recurrence_anchor: date | None = None
    next_occurrence: date | None
    series_id: UUID | None
    occurrence: int | None = Field(ge=1, le=2_147_483_647)
    # The fields in which it differs from its series; older events are without this one too.
    occurrence_only: tuple[str, ...] = Field(default=(), max_length=len(SeriesValues.model_fields))
    tags: tuple[TagName, ...] = Field(max_length=TAGS_MAX)
    completed_at: AwareDatetime | None
    deleted_at: AwareDatetime | None
    version: int = Field(ge=1, le=9_223_372_036_854_775_807)
    created_at: AwareDatetime
    updated_at: AwareDatetime

    _series_values: SeriesValues | None = PrivateAttr(default=None)

    @property
    def series_values(self) -> SeriesValues | None:
        """What its series has instead, if the task was read from its row; nobody else sees it."""
        return self._series_values

    def with_series_values(self, values: SeriesValues | None) -> "Task":
        """Give the same task, which knows what its series has instead."""
        copy = self.model_copy()
        copy._series_values = values  # noqa: SLF001 (a new one of the same class)
        return copy
