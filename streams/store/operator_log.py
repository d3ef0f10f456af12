"""The operators' log: each change by hand is a row before it begins, and has its result after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas import codec
from streams.store.database import Database, Session

RESULT_CHARS_MAX = 2_000

_BEGIN = """
    INSERT INTO operator_log (operator, command, arguments) VALUES ($1, $2, $3::text::jsonb)
    RETURNING id"""

_END = """
    UPDATE operator_log SET ended_at = clock_timestamp(), result = $2
     WHERE id = $1 AND result IS NULL"""

_LIST = """
    SELECT id, began_at, ended_at, operator, command, arguments::text AS arguments, result
      FROM operator_log ORDER BY id DESC LIMIT $1"""


@dataclass(frozen=True, slots=True)
class LogEntry:
    """What an operator did; without a result it is being done, or the command died."""

    id: int
    began_at: datetime
    ended_at: datetime | None
    operator: str
    command: str
    arguments: Mapping[str, object]
    result: str | None


async def begin_entry(
    database: Database, operator: str, command: str, arguments: Mapping[str, object]
) -> int:
    """Write that a command begins, and give the entry's number."""
    text = codec.encode(arguments).decode()
    row = await database.fetchrow(_BEGIN, operator, command, text)
    if row is None:
        raise AssertionError("an insert gives its row")
    return int(row["id"])


async def end_entry(database: Database | Session, entry_id: int, result: str) -> None:
    """Write what came of it, once: what was written with the change itself stays."""
    await database.fetch(_END, entry_id, result[:RESULT_CHARS_MAX])


async def newest_entries(database: Database, limit: int) -> Sequence[LogEntry]:
    """Give the newest entries first."""
    return [
        LogEntry(**dict(row) | {"arguments": codec.decode(row["arguments"].encode())})
        for row in await database.fetch(_LIST, limit)
    ]
