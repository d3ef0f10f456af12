"""The ledger: how far each worker is, moved in the transaction that writes its effects."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from streams.store.database import Database, Session

_BEGIN = """
    WITH begun AS (
        INSERT INTO stream_offsets (app, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING RETURNING next_offset
    )
    SELECT next_offset FROM begun
    UNION ALL
    SELECT next_offset FROM stream_offsets WHERE app = $1 AND topic = $2 AND partition = $3"""

# A dead letter whose event is processed after all, since the ledger was rewound, waits no more.
_MOVE = """
    WITH settled AS (
        UPDATE dead_letters SET state = 'replayed', settled_at = clock_timestamp()
         WHERE app = $1 AND topic = $2 AND partition = $3
           AND log_offset >= $4 AND log_offset < $5 AND state = 'waiting'
           AND event_id = ANY ($6::uuid[])
    )
    UPDATE stream_offsets SET next_offset = $5, moved_at = clock_timestamp()
     WHERE app = $1 AND topic = $2 AND partition = $3 AND next_offset = $4
       AND NOT EXISTS (SELECT FROM paused_apps WHERE app = $1)
    RETURNING next_offset"""

_ALL = "SELECT partition, next_offset FROM stream_offsets WHERE app = $1 AND topic = $2"

_HOLD = """
    SELECT partition, next_offset FROM stream_offsets WHERE app = $1 AND topic = $2
     ORDER BY partition FOR UPDATE"""

_BEGIN_ALL = """
    INSERT INTO stream_offsets (app, topic, partition, next_offset)
    SELECT $1, $2, partition, next_offset
      FROM unnest($3::integer[], $4::bigint[]) AS start (partition, next_offset)
    ON CONFLICT DO NOTHING"""

_SET = """
    INSERT INTO stream_offsets (app, topic, partition, next_offset)
    SELECT $1, $2, partition, next_offset
      FROM unnest($3::integer[], $4::bigint[]) AS wanted (partition, next_offset)
    ON CONFLICT (app, topic, partition) DO UPDATE
        SET next_offset = excluded.next_offset, moved_at = excluded.moved_at"""


async def next_offset(database: Database, app: str, topic: str, partition: int, start: int) -> int:
    """Give the offset that comes next; a worker that was never here begins at `start`."""
    row = await database.fetchrow(_BEGIN, app, topic, partition, start)
    if row is None:
        # Another worker's row was committed between our snapshot and our insert.
        row = await database.fetchrow(_BEGIN, app, topic, partition, start)
    if row is None:
        raise AssertionError("the ledger's row is either there or was just made")
    return int(row["next_offset"])


async def move_offset(
    session: Session,
    app: str,
    topic: str,
    partition: int,
    *,
    begin: int,
    end: int,
    event_ids: Sequence[UUID] = (),
) -> bool:
    """Move from `begin` to `end`; False if it is elsewhere or the app is paused: roll back then.

    It locks the row, so that another worker waits until this transaction has ended. `event_ids` are
    those whose effects this transaction writes.
    """
    row = await session.fetchrow(_MOVE, app, topic, partition, begin, end, list(event_ids))
    return row is not None


async def all_offsets(database: Database | Session, app: str, topic: str) -> Mapping[int, int]:
    """Give the next offset of each partition that an app has begun."""
    rows = await database.fetch(_ALL, app, topic)
    return {row["partition"]: row["next_offset"] for row in rows}


async def set_offsets(
    session: Session, app: str, topic: str, wanted: Mapping[int, int]
) -> Mapping[int, int]:
    """Put an app's ledger elsewhere, and give where it was.

    A batch that is being committed is waited for, and a later one is fenced: whoever had read what
    the ledger was writes nothing.
    """
    rows = await session.fetch(_HOLD, app, topic)
    await session.fetch(_SET, app, topic, list(wanted), list(wanted.values()))
    return {row["partition"]: row["next_offset"] for row in rows}


async def hold_offsets(
    session: Session, app: str, topic: str, starts: Mapping[int, int]
) -> Mapping[int, int]:
    """Hold an app's whole ledger to the end of the transaction, and give it.

    Partitions that the app has not begun begin at `starts`, so that they are held as well.
    """
    await session.fetch(_BEGIN_ALL, app, topic, list(starts), list(starts.values()))
    rows = await session.fetch(_HOLD, app, topic)
    return {row["partition"]: row["next_offset"] for row in rows}
