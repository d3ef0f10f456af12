"""Reminders in PostgreSQL: what is planned, and the one statement that fires."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from schemas.events import REMINDER_DUE
from schemas.ids import new_id
from schemas.tasks import Status
from streams.domain.reminders import Planned
from streams.domain.schedule import Scheduled
from streams.store.database import Database, Row, Session

SOURCE = "/taskflow/reminders"
LATE = timedelta(seconds=1)
"""What fires later than this after its instant says so."""
LEDGER_KEPT = timedelta(days=90)
"""As long as the notifications that it explains; see `_FIRE` for what it cannot be asked after."""
PRUNED_MAX = 5_000
"""Rows of one statement, which holds their locks until it ends."""
REPLANNED = "taskflow_replanned"
"""The channel on which the function `replan_reminders` names the user whose plan has moved."""

_PRUNER = 7234918266
"""The advisory lock of whoever prunes; the number is nobody else's."""

_COLUMNS = "id, task_id, user_id, fires_at, planned_version AS version"

_PAGE = f"""
    SELECT {_COLUMNS} FROM reminders
     WHERE fires_at IS NOT NULL AND (fires_at, id) > ($1, $2) AND fires_at < $3
     ORDER BY fires_at, id
     LIMIT $4"""

_OF_TASKS = f"""
    SELECT {_COLUMNS} FROM reminders
     WHERE task_id = ANY ($1::uuid[]) AND fires_at < $2"""

_OF_USERS = f"""
    SELECT {_COLUMNS} FROM reminders
     WHERE user_id = ANY ($1::uuid[]) AND fires_at < $2
     LIMIT $3"""

# Each of its parts is found by an index, so that any plan is a quick one: PostgreSQL plans it
# without knowing how many are wanted.
_FIRE = """
    WITH wanted AS (
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::uuid[])
                   AS wanted (id, task_id, fires_at, event_id)
         ORDER BY task_id
    ), held AS MATERIALIZED (
        -- A task that somebody writes just now is left for the next try: nobody waits for it.
        SELECT wanted.id, wanted.fires_at, wanted.event_id, locked.task
          FROM wanted CROSS JOIN LATERAL (
              SELECT tasks AS task FROM tasks
               WHERE id = wanted.task_id AND status = 'pending' AND deleted_at IS NULL
                 FOR NO KEY UPDATE SKIP LOCKED
          ) AS locked
    ), instant AS MATERIALIZED (
        -- After the locks: from here on no state of these tasks can end before the firing.
        SELECT clock_timestamp() AS now FROM (SELECT count(*) FROM held) AS counted
    ), spent AS (
        -- By the newest version of the row, whatever this statement's snapshot has. A repeat is
        -- known by the ledger, and one that is so old that the ledger may have forgotten it by not
        -- being later than the last firing.
        UPDATE reminders
           SET fires_at = NULL,
               fired_at = CASE
                   WHEN EXISTS (SELECT FROM reminder_firings AS known
                                 WHERE known.reminder_id = held.id
                                   AND known.fires_at = held.fires_at)
                     OR (instant.now - held.fires_at > $8 AND held.fires_at <= reminders.fired_at)
                   THEN reminders.fired_at
                   ELSE instant.now
               END
          FROM held CROSS JOIN instant
         WHERE reminders.id = held.id AND reminders.task_id = (held.task).id
           AND reminders.fires_at = held.fires_at AND reminders.fires_at <= instant.now
        RETURNING held.*, instant.now, reminders.fired_at
    ), fresh AS MATERIALIZED (
        SELECT *, now - fires_at > $5 AS late FROM spent WHERE fired_at = now
    ), fired AS (
        INSERT INTO reminder_firings
            (reminder_id, fires_at, user_id, task_id, fired_at, late, event_id)
        SELECT id, fires_at, (task).user_id, (task).id, fired_at, late, event_id FROM fresh
    ), logged AS (
        INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
        SELECT event_id, $6, $7, (task).user_id, (task).id, now,
               json_build_object('task', task_json(task), 'remind_at', instant_text(fires_at),
                                 'fired_at', instant_text(now), 'late', late)
          FROM fresh
         ORDER BY fresh.fires_at, fresh.id
    )
    SELECT (SELECT now FROM instant) AS now,
           (SELECT coalesce(array_agg(id), '{}') FROM fresh) AS fired,
           (SELECT coalesce(array_agg(reminders.id), '{}')
              FROM wanted JOIN reminders USING (id, fires_at)
             WHERE reminders.id NOT IN (SELECT id FROM spent)) AS standing"""

_SCHEDULE = """
    SELECT reminders.id, task_id, title, kind, reminders.fires_at, status, deleted_at, due_date,
           last.fires_at AS last_instant, reminders.fired_at AS last_fired_at
      FROM reminders JOIN tasks ON tasks.id = task_id
      LEFT JOIN LATERAL (
          SELECT fires_at FROM reminder_firings
           WHERE reminder_id = reminders.id AND fired_at = reminders.fired_at
      ) AS last ON true
     WHERE reminders.user_id = $1
     ORDER BY reminders.fires_at, reminders.fired_at DESC, reminders.id
     LIMIT $2"""

# One worker at a time: the lock ends with the statement, whatever becomes of who sent it.
_PRUNE = """
    WITH mine AS MATERIALIZED (SELECT pg_try_advisory_xact_lock($3) AS is_mine), old AS (
        DELETE FROM reminder_firings WHERE (reminder_id, fires_at) IN (
            SELECT reminder_id, fires_at FROM reminder_firings
             WHERE fired_at < clock_timestamp() - $1::interval AND (SELECT is_mine FROM mine)
             ORDER BY fired_at LIMIT $2
        ) RETURNING 1
    )
    SELECT count(*) AS pruned FROM old"""


@dataclass(frozen=True, slots=True)
class Firing:
    """What became of a batch; those that are in neither are no longer planned for their instant."""

    now: datetime
    """By the database's clock, when the tasks were locked."""
    fired: frozenset[UUID]
    standing: frozenset[UUID]
    """Too early, or of a task that somebody was writing."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in the order in which reminders fall due."""

    fires_at: datetime
    id: UUID


START = Mark(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))


async def planned_after(
    database: Database, after: Mark, before: datetime, limit: int
) -> Sequence[Planned]:
    """Give what falls due behind a place and before an instant, in order, of all users."""
    rows = await database.fetch(_PAGE, after.fires_at, after.id, before, limit)
    return [_planned(row) for row in rows]


async def planned_of_tasks(
    session: Session, task_ids: Collection[UUID], before: datetime
) -> Sequence[Planned]:
    """Give what is planned for these tasks before an instant, as it is by now."""
    rows = await session.fetch(_OF_TASKS, list(task_ids), before)
    return [_planned(row) for row in rows]


async def planned_of_users(
    database: Database, user_ids: Collection[UUID], before: datetime, limit: int
) -> Sequence[Planned]:
    """Give what is planned for these users before an instant, as it is by now, in any order."""
    rows = await database.fetch(_OF_USERS, list(user_ids), before, limit)
    return [_planned(row) for row in rows]


async def fire(database: Database, batch: Sequence[Planned]) -> Firing:
    """Fire what still stands and is due by the database's clock: ledger and outbox at once.

    It locks the tasks, in the order of their ids, and then the reminders. A second firing of the
    same reminder and instant writes nothing. The events come in the order of the instants.
    """
    row = await database.fetchrow(
        _FIRE,
        [planned.id for planned in batch],
        [planned.task_id for planned in batch],
        [planned.fires_at for planned in batch],
        [new_id() for _ in batch],
        LATE,
        REMINDER_DUE,
        SOURCE,
        LEDGER_KEPT,
    )
    if row is None:
        raise AssertionError("a SELECT without FROM gives its row")
    return Firing(row["now"], frozenset(row["fired"]), frozenset(row["standing"]))


async def schedule_of_user(database: Database, user_id: UUID, limit: int) -> Sequence[Scheduled]:
    """Give a user's reminders: those that fire next first, then those that do not."""
    rows = await database.fetch(_SCHEDULE, user_id, limit)
    return [Scheduled(**(dict(row) | {"status": Status(row["status"])})) for row in rows]


async def prune_ledger(database: Database) -> int:
    """Delete firings older than `LEDGER_KEPT`, at most `PRUNED_MAX`; give how many.

    None while another worker is at it. The reminders stay, spent ones too: there are no more of
    them than their tasks have, and one that is reopened or moved fires by them.
    """
    row = await database.fetchrow(_PRUNE, LEDGER_KEPT, PRUNED_MAX, _PRUNER)
    return int(row["pruned"]) if row else 0


def _planned(row: Row) -> Planned:
    return Planned(**dict(row))
