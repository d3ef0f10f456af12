"""What became of one event, in the tables of each worker; ids and instants, no user's words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.ids import instant_of
from streams.store.database import Database

_AUDITED = """
    SELECT id, user_id, position, event_type, task_id, timestamp, content IS NULL AS is_erased
      FROM audit_entries WHERE event_id = $1"""

_NOTIFIED = "SELECT id, user_id, task_id, created_at, read_at FROM notifications WHERE id = $1"

_DELIVERED = """
    SELECT id, channel_id, state, attempts, error FROM deliveries
     WHERE notification_id = $1 ORDER BY id LIMIT 100"""

# By the instant of the event's id, since no index has the event: a worker may be days behind.
_DELIVERED_SINCE = """
    SELECT id, channel_id, state, attempts, error FROM deliveries
     WHERE created_at BETWEEN $2::timestamptz - interval '1 minute'
                          AND $2::timestamptz + interval '7 days'
       AND event_id = $1 ORDER BY id LIMIT 100"""

_FIRED = """
    SELECT reminder_id, user_id, task_id, fires_at, fired_at, late
      FROM reminder_firings WHERE event_id = $1"""

_SUCCEEDED = """
    SELECT successor_id, predecessor_id, version, withdrawn, written_at
      FROM task_successors WHERE event_id = $1 LIMIT 100"""

_OUTBOX = """
    SELECT seq, type, user_id, occurred_at, (SELECT count(*) FROM outbox AS row
                                              WHERE row.seq < outbox.seq) AS before
      FROM outbox WHERE event_id = $1 LIMIT 1"""

_RELAY = """
    SELECT holder IS NOT NULL AND expires_at > clock_timestamp() AS leads, epoch,
           nullif(expires_at, '-infinity') AS expires_at
      FROM relay_lease"""

_PLACES = """
    SELECT topic, partition, last_offset FROM relay_positions ORDER BY topic, partition"""


@dataclass(frozen=True, slots=True)
class InOutbox:
    """An event that is not published yet: how many stand before it."""

    seq: int
    type: str
    user_id: UUID
    occurred_at: datetime
    before: int


@dataclass(frozen=True, slots=True)
class Relay:
    """Whether a relay leads now, and the last place it got in each partition."""

    leads: bool
    epoch: int
    expires_at: datetime | None
    places: Mapping[tuple[str, int], int]


async def audit_row_of(database: Database, event_id: UUID) -> Mapping[str, object] | None:
    """Give the audit log's entry of an event, without the task in it."""
    row = await database.fetchrow(_AUDITED, event_id)
    return dict(row) if row else None


async def notification_row_of(
    database: Database, notification_id: UUID
) -> Mapping[str, object] | None:
    """Give a notification, and how far each channel is with it."""
    row = await database.fetchrow(_NOTIFIED, notification_id)
    if row is None:
        return None
    deliveries = await database.fetch(_DELIVERED, notification_id)
    return {**dict(row), "deliveries": [dict(one) for one in deliveries]}


async def delivery_rows_of(database: Database, event_id: UUID) -> Mapping[str, object] | None:
    """Give how far each channel is that an event was queued for, within a week of its making."""
    made_at = instant_of(event_id)
    rows = await database.fetch(_DELIVERED_SINCE, event_id, made_at) if made_at else []
    return {"deliveries": [dict(row) for row in rows]} if rows else None


async def firing_row_of(database: Database, event_id: UUID) -> Mapping[str, object] | None:
    """Give the firing that an event tells of, if it is a reminder's."""
    row = await database.fetchrow(_FIRED, event_id)
    return dict(row) if row else None


async def successor_rows_of(database: Database, event_id: UUID) -> Sequence[Mapping[str, object]]:
    """Give what the recurrence worker has written last by an event."""
    return [dict(row) for row in await database.fetch(_SUCCEEDED, event_id)]


async def outbox_row_of(database: Database, event_id: UUID) -> InOutbox | None:
    """Give an event's place in the outbox, while it is there."""
    row = await database.fetchrow(_OUTBOX, event_id)
    return InOutbox(**dict(row)) if row else None


async def relay_state(database: Database) -> Relay:
    """Tell whether a relay leads, and how far it is."""
    row = await database.fetchrow(_RELAY)
    if row is None:
        raise AssertionError("the lease has always one row")
    places = {
        (place["topic"], place["partition"]): place["last_offset"]
        for place in await database.fetch(_PLACES)
    }
    return Relay(**dict(row), places=places)
