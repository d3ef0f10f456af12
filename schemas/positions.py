"""A position is where a client is in its user's events: opaque, and good for that user alone."""

import hmac
import re
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from uuid import UUID

POSITION_CHARS = 48
_TEXT = re.compile(rf"[A-Za-z0-9_-]{{{POSITION_CHARS}}}")
_FIELDS = struct.Struct(">Hq8s")
_MAC_BYTES = 18
_EMPTY = b"\0" * 8


class PositionError(ValueError):
    """The text is no position of this user; nothing more is told, since it may be forged."""


@dataclass(frozen=True, slots=True)
class Position:
    """The record that a client has seen last, in `task-updates`.

    `offset` is -1 before the first record of the partition; `id_tail` is the last 8 bytes of that
    record's event id, by which a topic that was made anew is noticed.
    """

    partition: int
    offset: int
    id_tail: bytes = _EMPTY

    @classmethod
    def of_event(cls, partition: int, offset: int, event_id: UUID) -> "Position":
        """Make the position of one record."""
        return cls(partition, offset, event_id.bytes[8:])


@dataclass(frozen=True, slots=True)
class PositionSeal:
    """Writes positions that only this deployment can have written, each for one user."""

    key: bytes = field(repr=False)

    @classmethod
    def from_secret(cls, secret: str) -> "PositionSeal":
        """Derive a key of its own, so that a token is never a seal."""
        return cls(hmac.digest(secret.encode(), b"taskflow position", "sha256"))

    def write(self, position: Position, user_id: UUID) -> str:
        """Give the text of a position: 48 characters of base64url."""
        packed = _FIELDS.pack(position.partition, position.offset, position.id_tail)
        return urlsafe_b64encode(packed + self._mac(packed, user_id)).decode()

    def read(self, text: str, user_id: UUID) -> Position:
        """Give back what `write` took; raise `PositionError` for every other text or user."""
        # The library's decoder also takes the other alphabet, and skips what is in neither.
        if not _TEXT.fullmatch(text):
            raise PositionError("not a position")
        raw = urlsafe_b64decode(text)
        packed, mac = raw[: _FIELDS.size], raw[_FIELDS.size :]
        if not hmac.compare_digest(mac, self._mac(packed, user_id)):
            raise PositionError("not a position of this user")
        return Position(*_FIELDS.unpack(packed))

    def _mac(self, packed: bytes, user_id: UUID) -> bytes:
        return hmac.new(self.key, packed + user_id.bytes, sha256).digest()[:_MAC_BYTES]
