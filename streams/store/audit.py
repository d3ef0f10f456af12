"""The audit log: one entry for each event of a task, chained per user, by its event id."""

import asyncio
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from secrets import token_hex
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.tasks import Task
from streams.domain.audit_chain import (
    NewEntry,
    canonical_text,
    content_hash,
    link_hash,
    start_hash,
)
from streams.store.database import Database, Session

SALT_BYTES = 16
ERASE_ROWS_MAX = 10_000
"""So many take well under a second, and `statement_timeout` is eight."""

_LOCK = """
    SELECT user_id, position, hash, erased_at IS NOT NULL AS erased
      FROM audit_heads WHERE user_id = ANY ($1) ORDER BY user_id FOR UPDATE"""

_BEGIN = """
    INSERT INTO audit_heads (user_id, position, hash)
    SELECT user_id, 0, hash FROM unnest($1::uuid[], $2::bytea[]) AS start (user_id, hash)
    ON CONFLICT DO NOTHING"""

# The heads are locked by an earlier statement, so that this one's snapshot has all of these users'
# entries. If the log has one of the events already, nothing is written and those are told.
_APPEND = """
    WITH repeated AS MATERIALIZED (
        SELECT event_id FROM audit_entries WHERE event_id = ANY ($3)
    ), moved AS (
        UPDATE audit_heads AS head SET position = new.position, hash = new.hash
          FROM unnest($11::uuid[], $12::bigint[], $13::bytea[]) AS new (user_id, position, hash)
         WHERE head.user_id = new.user_id AND NOT EXISTS (SELECT FROM repeated)
    ), appended AS (
        INSERT INTO audit_entries (id, user_id, event_id, event_type, task_id, timestamp, content,
                                   position, content_hash, hash)
        SELECT *
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[],
                      $6::timestamptz[], $7::text[], $8::bigint[], $9::bytea[], $10::bytea[])
         WHERE NOT EXISTS (SELECT FROM repeated)
    )
    SELECT event_id FROM repeated"""

_ERASE_HEAD = """
    INSERT INTO audit_heads AS head (user_id, position, hash, erased_at)
    VALUES ($1, 0, $2, clock_timestamp())
    ON CONFLICT (user_id) DO UPDATE SET erased_at = coalesce(head.erased_at, excluded.erased_at)"""

_ERASE = """
    WITH chosen AS (
        SELECT position FROM audit_entries
         WHERE user_id = $1 AND timestamp IS NOT NULL
         LIMIT $2
    ), erased AS (
        UPDATE audit_entries AS entry
           SET content = NULL, event_type = NULL, task_id = NULL, timestamp = NULL
          FROM chosen
         WHERE entry.user_id = $1 AND entry.position = chosen.position
        RETURNING 1
    )
    SELECT count(*) AS count FROM erased"""

_LIST = """
    SELECT content
      FROM audit_entries
     WHERE user_id = $1 AND content IS NOT NULL
       AND ($2::timestamptz IS NULL OR (timestamp, id) < ($2, $3))
       AND ($4::uuid IS NULL OR task_id = $4)
       AND ($5::text[] IS NULL OR event_type = ANY ($5))
     ORDER BY timestamp DESC, id DESC
     LIMIT $6"""


class AuditEntry(BaseModel):
    """An entry as its user sees it: what the hashed text says, and nothing from beside it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    event_id: UUID
    event_type: str = Field(max_length=20)
    task_id: UUID
    task_data: Task
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; None means any."""

    task_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


async def append_entries(session: Session, entries: Sequence[NewEntry]) -> None:
    """Append entries to their users' chains, in the order given.

    Those whose event is in the log already are left out, and take no position. Two that append for
    the same users take turns: the heads stay locked, in the order of the users' ids, until the
    transaction ends. Of a user whose content was erased only the hashes are kept.
    """
    firsts: dict[int, NewEntry] = {}
    for entry in entries:
        firsts.setdefault(entry.event_id.int, entry)
    users = {entry.user_id.int: entry.user_id for entry in entries}
    # The database looks for the heads while the texts are made here, which need none of them.
    locking = asyncio.ensure_future(_lock_heads(session, users))
    await asyncio.sleep(0)
    try:
        written = _write(list(firsts.values()))
    finally:
        heads = await locking
    while written:
        repeated = await _append(session, written, heads)
        if not repeated:
            return
        written = [one for one in written if one[0].event_id not in repeated]


_Written = tuple[NewEntry, bytes, bytes]
"""An entry, its canonical text, and that text's hash."""

_Heads = dict[int, tuple[UUID, int, bytes, bool]]
"""User, position, hash, and whether it was erased; by the user's id as a number, since those are
compared by the interpreter itself, and UUIDs by code in Python, ten times as slow."""


async def _lock_heads(session: Session, users: Mapping[int, UUID]) -> _Heads:
    """Lock all heads, and give them; those that are missing are made, which is once for a user.

    Where two workers meet at heads that only one of them has to make, PostgreSQL may end a
    deadlock, and that batch is tried again.
    """
    numbers = sorted(users)
    heads = await _lock(session, [users[number] for number in numbers])
    if missing := [users[number] for number in numbers if number not in heads]:
        await session.fetch(_BEGIN, missing, [start_hash(user) for user in missing])
        heads |= await _lock(session, missing)
    return heads


async def _lock(session: Session, users: Sequence[UUID]) -> _Heads:
    rows = await session.fetch(_LOCK, users)
    return {user.int: (user, position, digest, erased) for user, position, digest, erased in rows}


async def _append(session: Session, written: Sequence[_Written], heads: _Heads) -> set[UUID]:
    """Append all, or nothing and give the events that are in the log already."""
    positions, hashes, ends = _follow(written, heads)
    rows = await session.fetch(
        _APPEND,
        [entry.id for entry, _, _ in written],
        [heads[entry.user_id.int][0] for entry, _, _ in written],
        [entry.event_id for entry, _, _ in written],
        *_erasable(written, {number for number, (_, _, _, erased) in heads.items() if erased}),
        positions,
        [digest for _, _, digest in written],
        hashes,
        [user for user, _, _, _ in ends.values()],
        [position for _, position, _, _ in ends.values()],
        [digest for _, _, digest, _ in ends.values()],
    )
    return {row["event_id"] for row in rows}


def _erasable(written: Sequence[_Written], erased: AbstractSet[int]) -> tuple[list[object], ...]:
    """Give the four columns that are erased with their account; they are null if it is gone."""
    columns: tuple[list[object], ...] = (
        [entry.event_type for entry, _, _ in written],
        [entry.task_id for entry, _, _ in written],
        [entry.happened_at for entry, _, _ in written],
        [text.decode() for _, text, _ in written],
    )
    if erased:
        for row, (entry, _, _) in enumerate(written):
            if entry.user_id.int in erased:
                for column in columns:
                    column[row] = None
    return columns


def _write(entries: Sequence[NewEntry]) -> list[_Written]:
    """Make the texts of entries, each with its own salt, and their hashes."""
    width = 2 * SALT_BYTES
    salts = token_hex(SALT_BYTES * len(entries))
    starts = range(0, len(salts), width)
    texts = [
        canonical_text(entry, salts[start : start + width])
        for entry, start in zip(entries, starts, strict=True)
    ]
    return [(entry, text, content_hash(text)) for entry, text in zip(entries, texts, strict=True)]


def _follow(
    written: Sequence[_Written], heads: _Heads
) -> tuple[Sequence[int], Sequence[bytes], _Heads]:
    """Give each entry's position and hash, and where the chains end then."""
    ends = dict(heads)
    positions, hashes = [], []
    for entry, _, digest in written:
        number = entry.user_id.int
        user, position, previous, erased = ends[number]
        position, previous = position + 1, link_hash(previous, digest)
        ends[number] = user, position, previous, erased
        positions.append(position)
        hashes.append(previous)
    return positions, hashes, ends


async def erase_content(session: Session, user_id: UUID, rows_max: int = ERASE_ROWS_MAX) -> int:
    """Erase what a user's entries say, and keep the chain; gives how many it erased, 0 at the end.

    At most `rows_max` at a time: call it, a transaction each, until it gives 0. From the first call
    on, what is appended for this user is erased too. A repeated call does no harm.
    """
    await session.fetch(_ERASE_HEAD, user_id, start_hash(user_id))
    row = await session.fetchrow(_ERASE, user_id, rows_max)
    return int(row["count"]) if row else 0


async def list_entries(
    database: Database,
    user_id: UUID,
    wanted: AuditFilter,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Give the newest entries before an instant and id, at most `limit`."""
    at, entry_id = before or (None, None)
    rows = await database.fetch(
        _LIST,
        user_id,
        at,
        entry_id,
        wanted.task_id,
        list(wanted.event_types) if wanted.event_types else None,
        limit,
    )
    return [AuditEntry.model_validate_json(row["content"]) for row in rows]
