"""The occurrences that are to follow a recurring task."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field


class Occurrence(BaseModel):
    """One that is not yet there: its number in the series, its day, and its reminder."""

    model_config = ConfigDict(frozen=True)

    occurrence: int = Field(ge=1)
    due_date: date
    remind_at: datetime | None
