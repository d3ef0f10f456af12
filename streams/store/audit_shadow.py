"""The audit trail's shadow: tables like the real ones, written anew beside them, and compared.

They stand in a schema of their own, which one session at a time puts before the real one. They are
not logged: a database that crashes has them empty, and whoever was at it is told.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.ids import new_id
from streams.domain.audit_chain import Counts
from streams.store.audit_proof import verify_within
from streams.store.database import Database, Fault, Session, StoreError

LONG_S_MAX = 3_600.0
"""How long a statement over the whole trail may take, as a migration may."""
USERS_AT_ONCE = 1_000
_LOCK = "SELECT pg_try_advisory_xact_lock(7234918266) AS is_mine"
# It waits for as long as the rebuild takes, and holds nothing but its lock.
_WAIT = "SET LOCAL idle_in_transaction_session_timeout = 0"
_PATIENCE = f"""
    SET LOCAL statement_timeout = '{LONG_S_MAX:.0f}s';
    SET LOCAL idle_in_transaction_session_timeout = '60s';
    SET LOCAL search_path = audit_shadow, public"""
_MINE = "SELECT id FROM audit_shadow.run WHERE id = $1 FOR SHARE"
_DROP = "DROP SCHEMA IF EXISTS audit_shadow CASCADE"

# An account whose head is gone, and which left nothing but hashes, is not brought back either.
_MAKE = f"""
    {_DROP};
    CREATE SCHEMA audit_shadow;
    CREATE UNLOGGED TABLE audit_shadow.run (id uuid PRIMARY KEY);
    CREATE UNLOGGED TABLE audit_shadow.audit_entries (
        LIKE public.audit_entries INCLUDING CONSTRAINTS, UNIQUE (event_id)
    );
    CREATE UNLOGGED TABLE audit_shadow.audit_heads (
        LIKE public.audit_heads INCLUDING CONSTRAINTS, PRIMARY KEY (user_id)
    ) WITH (fillfactor = 50);
    CREATE UNLOGGED TABLE audit_shadow.affected (user_id uuid PRIMARY KEY);
    INSERT INTO audit_shadow.audit_heads (user_id, position, hash, erased_at)
    SELECT DISTINCT user_id, 0,
           sha256(convert_to(E'taskflow.audit.v1.start\\n' || user_id, 'UTF8')), now()
      FROM public.audit_entries AS entry
     WHERE content IS NULL
       AND NOT EXISTS (SELECT FROM public.audit_heads WHERE user_id = entry.user_id)
       AND NOT EXISTS (SELECT FROM public.users WHERE id = entry.user_id)"""

_ERASE_TOO = r"""
    INSERT INTO audit_shadow.audit_heads AS head (user_id, position, hash, erased_at)
    SELECT user_id, 0, sha256(convert_to(E'taskflow.audit.v1.start\n' || user_id, 'UTF8')),
           erased_at
      FROM public.audit_heads WHERE erased_at IS NOT NULL
    ON CONFLICT (user_id) DO UPDATE SET erased_at = excluded.erased_at
     WHERE head.erased_at IS NULL;
    UPDATE audit_shadow.audit_entries AS entry
       SET content = NULL, event_type = NULL, task_id = NULL, timestamp = NULL
      FROM audit_shadow.audit_heads AS head
     WHERE head.user_id = entry.user_id AND head.erased_at IS NOT NULL
       AND entry.content IS NOT NULL"""

# Of a content, what a reader is shown: the id of the entry at its begin, and the salt, left out. A
# text that was written before there were chains has other spaces, and is compared as JSON.
_COMPARE = """
    SET LOCAL work_mem = '64MB';
    ANALYZE audit_shadow.audit_entries;
    CREATE UNLOGGED TABLE audit_shadow.differences AS
    SELECT event_id, old.user_id AS old_user_id, new.user_id AS new_user_id,
           old.timestamp,
           CASE WHEN old.user_id IS NULL THEN 'missing' WHEN new.user_id IS NULL THEN 'extra'
                ELSE 'different' END AS kind
      FROM public.audit_entries AS old FULL JOIN audit_shadow.audit_entries AS new USING (event_id)
     WHERE old.user_id IS NULL OR new.user_id IS NULL OR old.user_id <> new.user_id
        OR new.content IS NOT NULL AND (
           (old.event_type, old.task_id, old.timestamp)
               IS DISTINCT FROM (new.event_type, new.task_id, new.timestamp)
        OR CASE
           WHEN old.content IS NULL THEN true
           WHEN substr(old.content, 44, greatest(strpos(old.content, '"salt":"') - 44, 0))
                  = substr(new.content, 44, greatest(strpos(new.content, '"salt":"') - 44, 0))
                AND substr(old.content, strpos(old.content, '"salt":"') + 40)
                  = substr(new.content, strpos(new.content, '"salt":"') + 40) THEN false
           WHEN NOT pg_input_is_valid(old.content, 'jsonb') THEN true
           ELSE old.content::jsonb - 'id' - 'salt' <> new.content::jsonb - 'id' - 'salt' END);
    ALTER TABLE audit_shadow.differences ADD PRIMARY KEY (event_id)"""

_EXTRA = """
    SELECT event_id, old_user_id AS user_id, timestamp FROM audit_shadow.differences
     WHERE kind = 'extra' AND ($1::uuid IS NULL OR event_id > $1) ORDER BY event_id LIMIT $2"""

_SORT = """
    UPDATE audit_shadow.differences SET kind = $2
     WHERE kind = 'extra' AND event_id = ANY ($1::uuid[]) RETURNING event_id"""

_BROKEN = """
    INSERT INTO audit_shadow.affected SELECT unnest($1::uuid[]) ON CONFLICT DO NOTHING"""

_AFFECTED = """
    INSERT INTO audit_shadow.affected
    SELECT user_id FROM audit_shadow.differences
     CROSS JOIN unnest(ARRAY[old_user_id, new_user_id]) AS user_id
     WHERE kind IN ('missing', 'extra', 'different') AND user_id IS NOT NULL
    ON CONFLICT DO NOTHING"""

_COUNT = """
    SELECT kind, count(*) AS count FROM audit_shadow.differences GROUP BY kind
    UNION ALL SELECT 'users', count(*) FROM audit_shadow.affected"""

_FIRST = """
    SELECT kind, event_id, coalesce(old_user_id, new_user_id) AS user_id
      FROM audit_shadow.differences WHERE kind = $1 ORDER BY event_id LIMIT $2"""

_HOLD = """
    INSERT INTO public.audit_heads (user_id, position, hash)
    SELECT user_id, 0, sha256(convert_to(E'taskflow.audit.v1.start\\n' || user_id, 'UTF8'))
      FROM audit_shadow.affected ORDER BY user_id
    ON CONFLICT DO NOTHING;
    SELECT FROM public.audit_heads WHERE user_id IN (SELECT user_id FROM audit_shadow.affected)
     ORDER BY user_id FOR UPDATE"""

_SWAP = r"""
    DELETE FROM public.audit_entries
     WHERE user_id IN (SELECT user_id FROM audit_shadow.affected);
    INSERT INTO public.audit_entries (user_id, position, id, event_id, event_type, task_id,
                                      timestamp, content, content_hash, hash)
    SELECT user_id, position, id, event_id, event_type, task_id, timestamp, content, content_hash,
           hash
      FROM audit_shadow.audit_entries
     WHERE user_id IN (SELECT user_id FROM audit_shadow.affected);
    UPDATE public.audit_heads AS head
       SET position = coalesce(new.position, 0),
           hash = coalesce(new.hash, sha256(
               convert_to(E'taskflow.audit.v1.start\n' || affected.user_id, 'UTF8'))),
           erased_at = coalesce(head.erased_at, new.erased_at)
      FROM audit_shadow.affected LEFT JOIN audit_shadow.audit_heads AS new USING (user_id)
     WHERE head.user_id = affected.user_id"""

_WRITTEN = """
    SELECT count(*) AS entries, (SELECT count(*) FROM audit_shadow.affected) AS users
      FROM audit_shadow.audit_entries
     WHERE user_id IN (SELECT user_id FROM audit_shadow.affected)"""


class ShadowTakenError(Exception):
    """Another rebuild is at work; the message says so."""


@dataclass(frozen=True, slots=True)
class Extra:
    """An entry that the log does not have; of an erased one the instant is unknown."""

    event_id: UUID
    user_id: UUID
    timestamp: datetime | None


@dataclass(frozen=True, slots=True)
class Shadow:
    """An empty trail beside the real one, as long as no other rebuild takes its place."""

    _database: Database
    run: UUID

    @asynccontextmanager
    async def transaction(self, *, steady: bool = False) -> AsyncIterator[Session]:
        """Open a transaction in which the shadow stands before the real tables.

        `steady` sees the real ones as they were at one instant. Raises `ShadowTakenError` if the
        shadow is another's by now; no other can take it while this lasts.
        """
        async with self._database.transaction() as session:
            if steady:
                await session.run_script("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await session.run_script(_PATIENCE)
            if await session.fetchrow(_MINE, self.run) is None:
                raise ShadowTakenError("the shadow was taken by another rebuild, or was lost")
            yield session


@asynccontextmanager
async def open_shadow(database: Database) -> AsyncIterator[Shadow]:
    """Make an empty shadow, and drop it in the end; one that a killed rebuild left is dropped.

    Raises `ShadowTakenError` at once while another rebuild is at work. It needs one connection for
    as long as it is open. The role must be one that may make a schema.
    """
    async with database.transaction() as guard:
        await guard.run_script(_WAIT)
        row = await guard.fetchrow(_LOCK)
        if row is None or not row["is_mine"]:
            raise ShadowTakenError("another rebuild of the audit trail is at work")
        shadow = Shadow(database, new_id())
        try:
            async with database.transaction() as session:
                await session.run_script(_PATIENCE)
                await session.run_script(_MAKE, LONG_S_MAX)
                await session.fetch("INSERT INTO audit_shadow.run VALUES ($1)", shadow.run)
        except StoreError as error:
            if error.fault is Fault.SETUP:
                text = f"{error}; a rebuild needs the role that owns the tables, as to migrate"
                raise StoreError(error.fault, text) from error
            raise
        try:
            yield shadow
        finally:
            with suppress(StoreError, ShadowTakenError):
                async with shadow.transaction() as session:
                    await session.run_script(_DROP)


async def follow_erasures(session: Session) -> None:
    """Erase in the shadow what is erased in truth, also what will be appended."""
    await session.run_script(_ERASE_TOO, LONG_S_MAX)


async def look_at_truth(session: Session) -> None:
    """Put the real tables in front again, to the end of the transaction."""
    await session.run_script("SET LOCAL search_path = public")


async def compare_with_shadow(session: Session) -> None:
    """Find what differs by event id and by what a reader is shown: the ids and salts are new."""
    await session.run_script(_COMPARE, LONG_S_MAX)


async def extra_entries(session: Session, after: UUID | None, limit: int) -> Sequence[Extra]:
    """Give those that the shadow does not have, by event id, at most `limit`."""
    rows = await session.fetch(_EXTRA, after, limit)
    return [Extra(row["event_id"], row["user_id"], row["timestamp"]) for row in rows]


async def sort_extra(session: Session, event_ids: Sequence[UUID], kind: str) -> int:
    """Call those of these that are extra something else, and give how many they are."""
    return len(await session.fetch(_SORT, list(event_ids), kind))


async def note_broken_chains(session: Session, told: Callable[[str], None]) -> tuple[int, int]:
    """Prove the real trail, and note the users whose chains do not hold, to be written anew too.

    Gives how many entries the trail has, and how many such users; it keeps a page in memory.
    """
    counts, broken = Counts(), 0
    users: list[UUID] = []
    last: UUID | None = None
    proof = verify_within(session, counts, told=lambda: told(f"{counts.entries:,} entries proved"))
    async for finding in proof:
        if finding.user_id != last:
            last, broken = finding.user_id, broken + 1
            users.append(finding.user_id)
        if len(users) == USERS_AT_ONCE:
            await session.fetch(_BROKEN, users)
            users = []
    await session.fetch(_BROKEN, users)
    return counts.entries, broken


async def count_differences(session: Session) -> dict[str, int]:
    """Give how many there are of each kind, and as `users` whose chains are to be written anew."""
    await session.fetch(_AFFECTED)
    return {row["kind"]: row["count"] for row in await session.fetch(_COUNT)}


async def first_differences(session: Session, kind: str, limit: int) -> list[dict[str, object]]:
    """Give the first of a kind: event and user."""
    return [dict(row) for row in await session.fetch(_FIRST, kind, limit)]


async def swap_chains(session: Session) -> tuple[int, int]:
    """Write the noted users' chains anew from the shadow; gives how many entries and users.

    Their heads are locked in the order of the users' ids, as by who appends or erases, before it
    is looked who was erased. All other chains stay as they are, byte for byte.
    """
    await session.run_script(_HOLD, LONG_S_MAX)
    await follow_erasures(session)
    await session.run_script(_SWAP, LONG_S_MAX)
    row = await session.fetchrow(_WRITTEN)
    return (int(row["entries"]), int(row["users"])) if row else (0, 0)
