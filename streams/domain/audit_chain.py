"""The audit trail's chain: what is hashed, and what a sound chain is; pure.

`docs/audit-format.md` says the same in words, for whoever writes another verifier.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from schemas import codec
from schemas.codec import JsonObject

# A hash of one kind can never pass for one of another: no label begins as another one does.
START_LABEL = b"taskflow.audit.v1.start\n"
CONTENT_LABEL = b"taskflow.audit.v1.content\n"
LINK_LABEL = b"taskflow.audit.v1.link\n"


class NewEntry(NamedTuple):
    """An entry that is to be appended; `task_data` is the whole task as it then was.

    A tuple, since it is made for every event, and a frozen dataclass takes three times as long.
    """

    id: UUID
    user_id: UUID
    event_type: str
    task_id: UUID
    task_data: JsonObject
    event_id: UUID
    happened_at: datetime


def canonical_text(entry: NewEntry, salt: str) -> bytes:
    """Write the text that is hashed and kept: JSON in UTF-8, its members in this order.

    The salt is secret as long as the text is, and goes with it: without it, whoever has the hash of
    an erased text could try titles until one fits.
    """
    return codec.encode(
        {
            "id": entry.id,
            "user_id": entry.user_id,
            "event_id": entry.event_id,
            "event_type": entry.event_type,
            "task_id": entry.task_id,
            "timestamp": entry.happened_at.astimezone(UTC),
            "salt": salt,
            "task_data": entry.task_data,
        }
    )


def start_hash(user_id: UUID) -> bytes:
    """Give what stands before a user's first entry."""
    return sha256(START_LABEL + str(user_id).encode()).digest()


def content_hash(text: bytes) -> bytes:
    """Give the hash of a canonical text, which stays when the text is erased."""
    return sha256(CONTENT_LABEL + text).digest()


def link_hash(previous: bytes, content: bytes) -> bytes:
    """Give an entry's hash, from that of the entry before it and that of its own text."""
    return sha256(LINK_LABEL + previous + content).digest()


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends, as it was noted when the last entry was appended."""

    position: int
    hash: bytes
    erased: bool


@dataclass(frozen=True, slots=True)
class Link:
    """One entry of a chain as it is found, its text compared with its hash and its columns."""

    position: int
    entry_id: UUID | None
    content_hash: bytes
    hash: bytes
    erased: bool = False
    content_fits: bool = True
    columns_fit: bool = True


class Fault(StrEnum):
    """What may be wrong with a chain."""

    CONTENT = "content"
    COLUMNS = "columns"
    LINK = "link"
    MISSING = "missing"
    EXTRA = "extra"
    HEAD = "head"
    ERASED = "erased"
    KEPT = "kept"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, and where; the place is that of the first entry concerned."""

    user_id: UUID
    position: int
    entry_id: UUID | None
    fault: Fault
    message: str


@dataclass(slots=True)
class Counts:
    """How much was checked so far."""

    users: int = 0
    entries: int = 0
    erased: int = 0
    findings: int = 0


class ChainCheck:
    """Checks one user's chain, whose entries are given in the order of their positions.

    After a fault it goes on from what is found, so that one change is told once, or as two links.
    """

    def __init__(self, user_id: UUID) -> None:
        self.user_id = user_id
        self.position = 0
        self.hash = start_hash(user_id)
        self.erased: tuple[int, UUID | None] | None = None
        self.kept: tuple[int, UUID | None] | None = None
        """The first entry whose text was erased, and the first whose text is there."""

    def follow(self, link: Link) -> list[Finding]:
        """Check the next entry, and give what is wrong with it or missing before it."""
        expected, previous = self.position + 1, self.hash
        self.position, self.hash = link.position, link.hash
        if link.erased:
            self.erased = self.erased or (link.position, link.entry_id)
        else:
            self.kept = self.kept or (link.position, link.entry_id)
        fits = link_hash(previous, link.content_hash) == link.hash
        if fits and link.position == expected and link.content_fits and link.columns_fit:
            return []
        return self._faults(link, expected, fits=fits)

    def finish(self, head: Head | None) -> list[Finding]:
        """Check that the chain ends where its head says."""
        if head is None:
            return [self._found(self.position, None, Fault.HEAD, "the chain has no head")]
        return [*self._end(head), *self._erasure(head)]

    def _faults(self, link: Link, expected: int, *, fits: bool) -> list[Finding]:
        found = []
        place = (link.position, link.entry_id)
        if link.position > expected:
            found.append(self._missing(expected, link.position - 1))
        elif link.position < expected:
            found.append(self._found(*place, Fault.EXTRA, "the entry has no place in the chain"))
        elif not fits:
            message = "the hash does not follow from the entry before it and the content's hash"
            found.append(self._found(*place, Fault.LINK, message))
        if not link.content_fits:
            message = "the content is not the one that was hashed"
            found.append(self._found(*place, Fault.CONTENT, message))
        elif not link.columns_fit:
            message = "what stands beside the content differs from what is in it"
            found.append(self._found(*place, Fault.COLUMNS, message))
        return found

    def _end(self, head: Head) -> list[Finding]:
        if head.position > self.position:
            return [self._missing(self.position + 1, head.position)]
        if head.position < self.position:
            message = f"the chain goes on to {self.position} behind its head"
            return [self._found(head.position + 1, None, Fault.EXTRA, message)]
        if head.hash != self.hash:
            message = "the head's hash is not that of the last entry"
            return [self._found(head.position, None, Fault.HEAD, message)]
        return []

    def _erasure(self, head: Head) -> list[Finding]:
        if self.erased and not head.erased:
            message = "content is gone, and the account was not erased"
            return [self._found(*self.erased, Fault.ERASED, message)]
        if self.kept and head.erased:
            message = "content is there, though the account was erased"
            return [self._found(*self.kept, Fault.KEPT, message)]
        return []

    def _missing(self, first: int, last: int) -> Finding:
        what = f"entry {first} is" if first == last else f"entries {first} to {last} are"
        return self._found(first, None, Fault.MISSING, f"{what} missing")

    def _found(self, position: int, entry_id: UUID | None, fault: Fault, message: str) -> Finding:
        return Finding(self.user_id, position, entry_id, fault, message)
