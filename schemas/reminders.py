"""Reminders of a task, as clients set and see them, and what a user wishes of all of them."""

from datetime import datetime, time
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator

from schemas.times import Instant, read_wall_clock

REMINDERS_MAX = 20
"""Of one task."""
YEAR_MINUTES = 525_600
SNOOZE_MINUTES_MAX = 43_200
DEFAULT_MINUTES = 60
"""An hour before nine o'clock of the due day, until a user says otherwise."""

Minutes = Annotated[int, Field(ge=0, le=YEAR_MINUTES, strict=True)]
WallClock = Annotated[
    time,
    BeforeValidator(read_wall_clock, json_schema_input_type=str),
    PlainSerializer(lambda at: f"{at:%H:%M}", when_used="json-unless-none"),
]
"""A time of the day, as in 07:30, by the clock on the user's wall."""


class ReminderKind(StrEnum):
    """What decides when a reminder fires."""

    TASK = "task"
    """The task's own `remind_at`."""
    ABSOLUTE = "absolute"
    BEFORE_DUE = "before_due"


class ReminderCreate(BaseModel):
    """A reminder to be made: at an instant, or so long before nine o'clock of the due day."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: Instant | None = None
    before_due_minutes: Minutes | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "ReminderCreate":
        if (self.at is None) == (self.before_due_minutes is None):
            raise ValueError("give either at or before_due_minutes")
        return self


class Snooze(BaseModel):
    """How long from now a reminder fires again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minutes: int = Field(ge=1, le=SNOOZE_MINUTES_MAX, strict=True)


class Reminder(BaseModel):
    """A reminder as its user sees it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    task_id: UUID
    kind: ReminderKind
    at: datetime | None
    before_due_minutes: int | None = Field(ge=0, le=YEAR_MINUTES)
    fires_at: datetime | None
    """When it fires next; null if it does not."""
    fired_at: datetime | None
    """When it fired last."""
    created_at: datetime


class ReminderSettings(BaseModel):
    """What a user wishes of all reminders; a default of null is none, and absent it is an hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default_before_due_minutes: Minutes | None = DEFAULT_MINUTES
    quiet_from: WallClock | None = None
    quiet_until: WallClock | None = None

    @model_validator(mode="after")
    def _quiet_is_a_span(self) -> "ReminderSettings":
        if (self.quiet_from is None) != (self.quiet_until is None):
            raise ValueError("give both quiet_from and quiet_until, or none of them")
        if self.quiet_from is not None and self.quiet_from == self.quiet_until:
            raise ValueError("quiet_from and quiet_until must differ")
        return self
