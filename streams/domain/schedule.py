"""What of a user's reminders fires next, and why another does not; for a person to read."""

from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from schemas.tasks import Status


@dataclass(frozen=True, slots=True)
class Scheduled:
    """A reminder with all that decides about it."""

    id: UUID
    task_id: UUID
    title: str
    kind: str
    fires_at: datetime | None
    """When it fires next."""
    status: Status
    deleted_at: datetime | None
    due_date: date | None
    last_instant: datetime | None
    """For when it fired last, if it ever did and the ledger still has it."""
    last_fired_at: datetime | None


def reason(one: Scheduled, now: datetime) -> str:
    """Say why a reminder fires or does not."""
    if one.fires_at is not None:
        return _when(one.fires_at, now)
    if one.deleted_at is not None:
        return "does not fire: the task is deleted"
    if one.status is Status.COMPLETED:
        return "does not fire: the task is completed"
    if one.last_fired_at is not None:
        return _fired(one.last_fired_at, one.last_instant)
    if one.kind == "before_due" and one.due_date is None:
        return "does not fire: the task has no due date"
    return "does not fire: its instant had passed when it was planned, or the task came back"


def _fired(fired_at: datetime, instant: datetime | None) -> str:
    if instant is None:
        return f"fired at {fired_at:%Y-%m-%d %H:%M:%S} UTC"
    late_s = (fired_at - instant).total_seconds()
    return f"fired {late_s:.3f} s after {instant:%Y-%m-%d %H:%M:%S} UTC"


def _when(fires_at: datetime, now: datetime) -> str:
    if fires_at > now:
        return f"fires in {(fires_at - now).total_seconds():.0f} s"
    overdue_s = (now - fires_at).total_seconds()
    return f"due for {overdue_s:.1f} s: no worker that has this user's partition has fired it yet"
