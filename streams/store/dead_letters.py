"""Dead letters as rows: where each is, why, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from streams.store.database import Database, Row, Session

ERROR_CHARS_MAX = 1_000
KEY_BYTES_MAX = 1_000


class State(StrEnum):
    """What became of a dead letter."""

    WAITING = "waiting"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class NewDeadLetter:
    """A dead letter that was published and is to be noted; `partition` is the source's."""

    app: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    event_id: UUID | None
    error: str
    dlq_partition: int
    dlq_offset: int


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as an operator sees it; `id` is what the commands call it by."""

    id: int
    app: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    event_id: UUID | None
    error: str
    died_at: datetime
    state: State
    settled_at: datetime | None
    failed_tries: int
    dlq_partition: int
    dlq_offset: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in the order of replay: everything up to it is left out."""

    partition: int = -1
    offset: int = -1


_NOTE = """
    INSERT INTO dead_letters (app, topic, partition, log_offset, record_key, event_id, error,
                              dlq_partition, dlq_offset)
    SELECT * FROM unnest($1::text[], $2::text[], $3::integer[], $4::bigint[], $5::bytea[],
                         $6::uuid[], $7::text[], $8::integer[], $9::bigint[])
    ON CONFLICT (app, topic, partition, log_offset) DO UPDATE
        SET record_key = excluded.record_key, event_id = excluded.event_id,
            error = excluded.error, dlq_partition = excluded.dlq_partition,
            dlq_offset = excluded.dlq_offset, died_at = excluded.died_at,
            state = 'waiting', settled_at = NULL"""

_COLUMNS = """
    id, app, topic, partition, log_offset, record_key, event_id, error, died_at, state, settled_at,
    failed_tries, dlq_partition, dlq_offset"""

_LIST = f"""
    SELECT {_COLUMNS} FROM dead_letters
     WHERE app = $1 AND ($2::text IS NULL OR state = $2) AND (partition, log_offset) > ($3, $4)
     ORDER BY partition, log_offset LIMIT $5"""

_FIND = f"SELECT {_COLUMNS} FROM dead_letters WHERE app = $1 AND id = ANY ($2::bigint[])"

_OF_EVENT = f"SELECT {_COLUMNS} FROM dead_letters WHERE event_id = $1 ORDER BY id LIMIT 100"

_NEWEST = f"SELECT {_COLUMNS} FROM dead_letters WHERE app = $1 ORDER BY died_at DESC LIMIT 1"

_COUNT = """
    SELECT partition, count(*) AS waiting FROM dead_letters
     WHERE app = $1 AND topic = $2 AND state = 'waiting' GROUP BY partition"""

_LEFT_OUT = """
    SELECT log_offset, state FROM dead_letters
     WHERE app = $1 AND topic = $2 AND partition = $3 AND log_offset >= $4 AND log_offset < $5
       AND state <> 'replayed'"""

_FIRST_WAITING = f"""
    SELECT {_COLUMNS} FROM dead_letters
     WHERE app = $1 AND topic = $2 AND partition = $3 AND log_offset < $4 AND state = 'waiting'
     ORDER BY log_offset LIMIT 1"""

_HOLD = f"SELECT {_COLUMNS} FROM dead_letters WHERE id = $1 FOR UPDATE"

_BEFORE = """
    SELECT id FROM dead_letters
     WHERE app = $1 AND topic = $2 AND partition = $3 AND log_offset < $4
       AND state = 'waiting' AND record_key IS NOT DISTINCT FROM $5 AND NOT id = ANY ($6::bigint[])
     ORDER BY log_offset LIMIT 1"""

_SETTLE = """
    UPDATE dead_letters SET state = $2, settled_at = clock_timestamp()
     WHERE id = ANY ($1::bigint[]) AND state = 'waiting' RETURNING id"""

_FAILED = """
    UPDATE dead_letters SET error = $2, failed_tries = failed_tries + 1
     WHERE id = $1 AND state = 'waiting'"""


async def note_dead_letters(session: Session, letters: Sequence[NewDeadLetter]) -> None:
    """Note dead letters once by their places; one that dies again, after a rewind, waits again."""
    await session.fetch(
        _NOTE,
        [letter.app for letter in letters],
        [letter.topic for letter in letters],
        [letter.partition for letter in letters],
        [letter.offset for letter in letters],
        [None if one.key is None else one.key[:KEY_BYTES_MAX] for one in letters],
        [letter.event_id for letter in letters],
        [fit_error(letter.error) for letter in letters],
        [letter.dlq_partition for letter in letters],
        [letter.dlq_offset for letter in letters],
    )


async def list_dead_letters(
    database: Database, app: str, state: State | None, after: Cursor, limit: int
) -> Sequence[DeadLetter]:
    """Give an app's dead letters in the order of replay, at most `limit`."""
    rows = await database.fetch(_LIST, app, state, after.partition, after.offset, limit)
    return [_letter(row) for row in rows]


async def find_dead_letters(
    database: Database, app: str, ids: Sequence[int]
) -> Mapping[int, DeadLetter]:
    """Give those of an app's that have these numbers, by number."""
    rows = await database.fetch(_FIND, app, list(ids))
    return {row["id"]: _letter(row) for row in rows}


async def dead_letters_of_event(database: Database, event_id: UUID) -> Sequence[DeadLetter]:
    """Give the dead letters of one event, of all apps."""
    return [_letter(row) for row in await database.fetch(_OF_EVENT, event_id)]


async def newest_dead_letter(database: Database, app: str) -> DeadLetter | None:
    """Give the one that died last, whatever became of it: the app's last error."""
    row = await database.fetchrow(_NEWEST, app)
    return _letter(row) if row else None


async def count_waiting(database: Database, app: str, topic: str) -> Mapping[int, int]:
    """Count those that wait, by partition; a partition without any is not there."""
    rows = await database.fetch(_COUNT, app, topic)
    return {row["partition"]: row["waiting"] for row in rows}


async def left_out(
    session: Session, app: str, topic: str, partition: int, begin: int, end: int
) -> Mapping[int, State]:
    """Give the offsets from `begin` to below `end` whose records wait as letters, or were dropped.

    Their effects were never written. At most one is given for each offset.
    """
    rows = await session.fetch(_LEFT_OUT, app, topic, partition, begin, end)
    return {row["log_offset"]: State(row["state"]) for row in rows}


async def first_waiting(
    session: Database | Session, app: str, topic: str, partition: int, end: int
) -> DeadLetter | None:
    """Give the first that waits in a partition below an offset."""
    row = await session.fetchrow(_FIRST_WAITING, app, topic, partition, end)
    return _letter(row) if row else None


async def hold_dead_letter(session: Session, letter_id: int) -> DeadLetter | None:
    """Lock a row to the end of the transaction: of two that replay it, the second waits."""
    row = await session.fetchrow(_HOLD, letter_id)
    return _letter(row) if row else None


async def waiting_before(
    session: Session, letter: DeadLetter, passed: Sequence[int] = ()
) -> int | None:
    """Give the oldest waiting one of the same key that stands before this one, if there is one.

    Those in `passed` do not count.
    """
    row = await session.fetchrow(
        _BEFORE,
        letter.app,
        letter.topic,
        letter.partition,
        letter.offset,
        letter.key,
        list(passed),
    )
    return int(row["id"]) if row else None


async def settle(session: Session, ids: Sequence[int], state: State) -> Sequence[int]:
    """Take those that wait out of waiting, and give their numbers."""
    return [row["id"] for row in await session.fetch(_SETTLE, list(ids), state)]


async def note_failed_try(database: Database, letter_id: int, error: str) -> None:
    """Note why a replay failed; the letter goes on waiting."""
    await database.fetch(_FAILED, letter_id, fit_error(error))


def fit_error(error: str) -> str:
    """Make a text that the table takes whatever it is: a NUL would be refused every time."""
    return error.replace("\0", "�")[:ERROR_CHARS_MAX]


def _letter(row: Row) -> DeadLetter:
    members = dict(row)
    members["offset"] = members.pop("log_offset")
    members["key"] = members.pop("record_key")
    members["state"] = State(members["state"])
    return DeadLetter(**members)
