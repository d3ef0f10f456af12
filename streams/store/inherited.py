"""Further reminders that the successor of a recurring task inherits from it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from schemas.ids import new_id
from schemas.reminders import ReminderKind
from schemas.tasks import Task
from streams.domain.zones import distance_of, instant_at
from streams.store.database import Row, Session

_OF_PREDECESSORS = """
    SELECT task_id, kind, at, minutes AS before_due_minutes, by_default
      FROM reminders CROSS JOIN LATERAL reminder_minutes(reminders, wishes_of(user_id)) AS minutes
     WHERE task_id = ANY ($1::uuid[])
       AND (kind = 'absolute' OR kind = 'before_due' AND minutes IS NOT NULL)
     ORDER BY created_at, id"""

# What the user's default has given to the successor: its predecessor's go before.
_FORGET = "DELETE FROM reminders WHERE task_id = ANY ($1::uuid[]) AND kind = 'before_due'"

_INSERT = """
    INSERT INTO reminders
        (id, user_id, task_id, kind, at, before_due_minutes, planned_version, by_default)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[],
                         $6::integer[], $7::bigint[], $8::boolean[])"""

_PLACE = """
    UPDATE reminders SET fires_at = reminder_instant(reminders, tasks) FROM tasks
     WHERE tasks.id = reminders.task_id AND reminders.task_id = ANY ($1::uuid[])
       AND kind <> 'task' AND reminder_instant(reminders, tasks) > clock_timestamp()"""


@dataclass(frozen=True, slots=True)
class Heir:
    """A successor that was just made, the task that it follows, and the zone of their user."""

    successor: Task
    predecessor: Task
    zone: ZoneInfo


async def inherit_reminders(session: Session, heirs: Sequence[Heir]) -> None:
    """Give new successors the reminders of their predecessors, beside `remind_at`.

    One before the due day is taken over as it is, or as the default by now is that made it; one at
    an instant is as far from the new day, by the wall clock. What would lie in the past does not
    fire.
    """
    by_predecessor = {heir.predecessor.id: heir for heir in heirs}
    if not by_predecessor:
        return
    rows = await session.fetch(_OF_PREDECESSORS, list(by_predecessor))
    if not rows:
        return
    pairs = [(row, by_predecessor[row["task_id"]]) for row in rows]
    successors = list({heir.successor.id for _, heir in pairs})
    await session.fetch(_FORGET, successors)
    await _insert(session, [pair for pair in pairs if _kept(*pair)])
    await session.fetch(_PLACE, successors)


async def _insert(session: Session, pairs: Sequence[tuple[Row, Heir]]) -> None:
    await session.fetch(
        _INSERT,
        [new_id() for _ in pairs],
        [heir.successor.user_id for _, heir in pairs],
        [heir.successor.id for _, heir in pairs],
        [row["kind"] for row, _ in pairs],
        [_moved(row["at"], heir) for row, heir in pairs],
        [row["before_due_minutes"] for row, _ in pairs],
        [heir.successor.version for _, heir in pairs],
        [row["by_default"] for row, _ in pairs],
    )


def _kept(row: Row, heir: Heir) -> bool:
    return row["kind"] == ReminderKind.BEFORE_DUE or _moved(row["at"], heir) is not None


def _moved(at: datetime | None, heir: Heir) -> datetime | None:
    due_on: date | None = heir.successor.due_date
    if at is None or due_on is None:
        return None
    return instant_at(due_on, distance_of(at, heir.predecessor.due_date, heir.zone), heir.zone)
