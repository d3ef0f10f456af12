"""Reading the audit trail to prove it: what stands there against what was hashed, in pages."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from schemas.audit import ChainEnd, EntryLine, HeadLine
from streams.domain.audit_chain import (
    CONTENT_LABEL,
    ChainCheck,
    Counts,
    Finding,
    Head,
    Link,
    start_hash,
)
from streams.store.database import Database, Row, Session

PAGE = 5_000

# The database hashes and compares, so that no content travels: that is most of the bytes. A text
# begins with what its columns say, up to its salt.
_LINKS = """
    SELECT user_id, position, id, content_hash, hash, content IS NULL AS erased,
           coalesce(sha256($2::bytea || convert_to(content, 'UTF8')) = content_hash, true) AS fits,
           coalesce(starts_with(content,
               '{"id":"' || id || '","user_id":"' || user_id || '","event_id":"' || event_id
               || '","event_type":"' || event_type || '","task_id":"' || task_id
               || '","timestamp":"' || instant_text(timestamp) || '","salt":"'
           ), content IS NULL) AS columns_fit
      FROM audit_entries
     WHERE $1::uuid IS NULL OR user_id = $1
     ORDER BY user_id, position"""

_HEADS = """
    SELECT user_id, position, hash, erased_at IS NOT NULL AS erased
      FROM audit_heads WHERE user_id = ANY ($1)"""

# A subquery with a limit is asked for each head, by the index; one without might first make a table
# of all entries first.
_ALL_HEADS = """
    SELECT user_id, position, hash, erased_at IS NOT NULL AS erased,
           (SELECT 1 FROM audit_entries WHERE user_id = head.user_id LIMIT 1) IS NULL AS alone
      FROM audit_heads AS head
     WHERE $1::uuid IS NULL OR user_id = $1"""

_EXPORT = """
    SELECT position, id AS entry_id, content, content_hash, hash
      FROM audit_entries
     WHERE user_id = $1 AND position > $2 AND position <= $3
     ORDER BY position
     LIMIT $4"""

EXPORT_PAGE = 200
"""Contents may have a megabyte each; most have one kilobyte."""


@dataclass(slots=True)
class _Reading:
    """The chains that are being read: the last one may go on with the next page."""

    counts: Counts
    chain: ChainCheck | None = None
    ended: list[ChainCheck] = field(default_factory=list)

    def take(self, page: Sequence[Row]) -> list[Finding]:
        found: list[Finding] = []
        chain = self.chain
        for user_id, position, entry_id, content, digest, erased, fits, columns_fit in page:
            if chain is None or chain.user_id != user_id:
                self.end()
                chain = self.chain = ChainCheck(user_id)
            if erased:
                self.counts.erased += 1
            link = Link(position, entry_id, content, digest, erased, fits, columns_fit)
            found += chain.follow(link)
        self.counts.entries += len(page)
        return found

    def end(self) -> None:
        """Note that the chain has no more entries."""
        if self.chain is not None:
            self.ended.append(self.chain)
            self.counts.users += 1
        self.chain = None


async def verify_chains(
    database: Database,
    counts: Counts,
    user_id: UUID | None = None,
    told: Callable[[], None] = lambda: None,
) -> AsyncIterator[Finding]:
    """Find all that is wrong with one user's chain, or with all of them, as of one instant.

    It holds a page in memory, however long the chains are, and one snapshot of the database.
    `counts` is kept up to date, and `told` is called after each page.
    """
    async with database.snapshot() as session:
        async for finding in verify_within(session, counts, user_id, told):
            yield finding


async def verify_within(
    session: Session,
    counts: Counts,
    user_id: UUID | None = None,
    told: Callable[[], None] = lambda: None,
) -> AsyncIterator[Finding]:
    """Do what `verify_chains` does, as one transaction sees it."""
    async for found in _chained(session, user_id, counts):
        for finding in found:
            counts.findings += 1
            yield finding
        told()
    async for finding in _without_entries(session, user_id, counts):
        counts.findings += 1
        yield finding


async def _chained(
    session: Session, user_id: UUID | None, counts: Counts
) -> AsyncIterator[list[Finding]]:
    """Follow the chains; a page often ends within one, which goes on with the next page."""
    reading = _Reading(counts)
    async for page in session.pages(_LINKS, user_id, CONTENT_LABEL, rows_max=PAGE):
        yield reading.take(page) + await _finish(session, reading)
    reading.end()
    yield await _finish(session, reading)


async def _finish(session: Session, reading: _Reading) -> list[Finding]:
    """Compare the chains that have ended with their heads."""
    ended, reading.ended = reading.ended, []
    users = [chain.user_id for chain in ended]
    rows = await session.fetch(_HEADS, users) if users else ()
    heads = {row["user_id"]: _head(row) for row in rows}
    return [found for chain in ended for found in chain.finish(heads.get(chain.user_id))]


def _head(row: Row) -> Head:
    return Head(row["position"], row["hash"], row["erased"])


async def _without_entries(
    session: Session, user_id: UUID | None, counts: Counts
) -> AsyncIterator[Finding]:
    """Find the heads whose chains are gone as a whole."""
    async for page in session.pages(_ALL_HEADS, user_id, rows_max=PAGE):
        for row in page:
            if row["alone"] and row["position"]:
                counts.users += 1
                for finding in ChainCheck(row["user_id"]).finish(_head(row)):
                    yield finding


async def export_lines(database: Database, user_id: UUID) -> AsyncIterator[bytes]:
    """Give a user's chain as it ends now, for somebody else to verify; each piece is whole lines.

    Entries are never changed but for erasure, so each page is a transaction of its own: a reader
    who is slow holds nothing.
    """
    row = await database.fetchrow(_HEADS, [user_id])
    head = _head(row) if row else Head(0, start_hash(user_id), erased=False)
    position = 0
    while position < head.position:
        rows = await database.fetch(_EXPORT, user_id, position, head.position, EXPORT_PAGE)
        if not rows:
            break
        yield b"".join(_line(EntryLine(user_id=user_id, **entry)) for entry in rows)
        position = rows[-1]["position"]
    end = ChainEnd(user_id=user_id, position=head.position, hash=head.hash, erased=head.erased)
    yield _line(HeadLine(head=end))


def _line(line: EntryLine | HeadLine) -> bytes:
    return line.model_dump_json().encode() + b"\n"
