"""The ledger: how far each worker is, moved in the transaction that writes its effects."""

from streams.store.database import Database, Session

_BEGIN = """
    WITH begun AS (
        INSERT INTO stream_offsets (app, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING RETURNING next_offset
    )
    SELECT next_offset FROM begun
    UNION ALL
    SELECT next_offset FROM stream_offsets WHERE app = $1 AND topic = $2 AND partition = $3"""

_MOVE = """
    UPDATE stream_offsets SET next_offset = $5, moved_at = clock_timestamp()
     WHERE app = $1 AND topic = $2 AND partition = $3 AND next_offset = $4
    RETURNING next_offset"""


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
    session: Session, app: str, topic: str, partition: int, *, begin: int, end: int
) -> bool:
    """Move from `begin` to `end`; False if another worker has moved it, and then nothing is done.

    It locks the row, so that the other worker waits until this transaction has ended.
    """
    return await session.fetchrow(_MOVE, app, topic, partition, begin, end) is not None
