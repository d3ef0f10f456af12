"""The outbox: events that are written and not yet published. A row that is here is unsent."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from streams.store.database import Database

CHANNEL = "outbox"

_UNSENT = """
    SELECT seq, event_id, type, source, user_id, subject, instant_text(occurred_at) AS occurred_at,
           traceparent, data::text AS data
      FROM outbox ORDER BY seq LIMIT $1"""

_COUNT = "SELECT count(*) AS unsent FROM (SELECT FROM outbox LIMIT $1) AS row"

_DELETE = """
    WITH term AS (
        SELECT epoch FROM relay_lease WHERE epoch = $1
    ), gone AS (
        DELETE FROM outbox WHERE seq = ANY ($2::bigint[]) AND EXISTS (SELECT FROM term)
        RETURNING seq
    ), placed AS (
        INSERT INTO relay_positions AS known (topic, partition, last_offset, event_id)
        SELECT topic, partition, last_offset, event_id
          FROM unnest($3::text[], $4::integer[], $5::bigint[], $6::uuid[])
               AS got (topic, partition, last_offset, event_id)
         WHERE EXISTS (SELECT FROM term)
        ON CONFLICT (topic, partition) DO UPDATE
            SET last_offset = excluded.last_offset, event_id = excluded.event_id
    )
    SELECT count(*) AS deleted FROM gone"""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """An event that waits to be published; `data` is JSON text."""

    seq: int
    event_id: UUID
    type: str
    source: str
    user_id: UUID
    subject: str
    occurred_at: str
    traceparent: str | None
    data: str


@dataclass(frozen=True, slots=True)
class LastPlace:
    """The newest place that the relay got in one partition, and whose event is there."""

    topic: str
    partition: int
    offset: int
    event_id: UUID


async def unsent_rows(database: Database, limit: int) -> Sequence[OutboxRow]:
    """Give the oldest rows, by `seq`; a lower one may still appear after a higher one was sent."""
    return [OutboxRow(**dict(row)) for row in await database.fetch(_UNSENT, limit)]


async def count_unsent(database: Database, limit: int | None = None) -> int:
    """Count the rows, at most `limit` of them if it is given."""
    row = await database.fetchrow(_COUNT, limit)
    return int(row["unsent"]) if row else 0


async def delete_sent(
    database: Database, epoch: int, seqs: Sequence[int], places: Sequence[LastPlace]
) -> int:
    """Delete rows that the log has, and record where they went, if this is still the epoch.

    Gives how many were deleted: none for a relay that no longer leads.
    """
    row = await database.fetchrow(
        _DELETE,
        epoch,
        list(seqs),
        [place.topic for place in places],
        [place.partition for place in places],
        [place.offset for place in places],
        [place.event_id for place in places],
    )
    return int(row["deleted"]) if row else 0


async def ring(database: Database) -> None:
    """Wake the relay.

    In a transaction of its own: NOTIFY takes a lock over all databases until its commit, and a
    writing transaction that held it would make every other one wait for its flush to disk.
    """
    await database.fetch("SELECT pg_notify($1, '')", CHANNEL)
