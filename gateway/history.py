"""What the gateway remembers of a partition, so that most clients that were away need no log.

For each record of some length back: the tail of its id, by which a position is checked. For each
user: the offsets of the events of the same length. And of the latest events, the bytes. It is pure.
"""

from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from gateway.arrivals import Arrival
from schemas.positions import Position

_TAIL_BYTES = 8
_NO_TAIL = b"\0" * _TAIL_BYTES


@dataclass(frozen=True, slots=True)
class Known:
    """The position is right; all behind it is in memory, but for these offsets of the log."""

    offsets: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wrong:
    """Another record stands at the position: the topic was made anew."""


@dataclass(frozen=True, slots=True)
class Unread:
    """The position lies before what is remembered: only the log knows."""


@dataclass(slots=True)
class History:
    """One partition's; `begin` is the first offset that may be remembered.

    Records before it are not, since the sieve has not seen enough to tell which of them are
    repeated.
    """

    begin: int
    _tails: bytearray = field(default_factory=bytearray)
    _recent: dict[UUID, deque[Arrival]] = field(default_factory=dict)
    _older: dict[UUID, "array[int]"] = field(default_factory=dict)
    _older_order: deque[UUID] = field(default_factory=deque)
    _events_from: int = field(init=False)
    _recent_from: int = field(init=False)

    def __post_init__(self) -> None:
        """Remember nothing yet."""
        self._events_from = self._recent_from = self.begin

    @property
    def end(self) -> int:
        """The offset behind the newest record that is remembered."""
        return self.begin + len(self._tails) // _TAIL_BYTES

    @property
    def recent_from(self) -> int:
        """The offset from which on every event's bytes are here."""
        return self._recent_from

    def note(self, offset: int, id_tail: bytes) -> None:
        """Remember that a record stands at an offset; offsets rise, and may leave some out."""
        if offset >= self.end:
            self._tails += _NO_TAIL * (offset - self.end) + id_tail

    def keep(self, arrival: Arrival) -> bool:
        """Remember an event, whose record was noted; False before the beginning."""
        if arrival.position.offset < self.begin:
            return False
        self._recent.setdefault(arrival.user_id, deque()).append(arrival)
        return True

    def let_go(self, arrival: Arrival) -> None:
        """Forget the bytes of the oldest event, and remember where it stands in the log."""
        own = self._recent.get(arrival.user_id)
        if not own or own[0] is not arrival:
            return
        own.popleft()
        if not own:
            del self._recent[arrival.user_id]
        self._recent_from = arrival.position.offset + 1
        self._older.setdefault(arrival.user_id, array("q")).append(arrival.position.offset)
        self._older_order.append(arrival.user_id)

    def forget(self, events_max: int, records_max: int) -> None:
        """Forget the oldest offsets of events, and tails of records, beyond so many of each."""
        while len(self._older_order) > events_max:
            user_id = self._older_order.popleft()
            own = self._older[user_id]
            self._events_from = own.pop(0) + 1
            if not own:
                del self._older[user_id]
        surplus = len(self._tails) // _TAIL_BYTES - records_max
        if surplus > 0:
            del self._tails[: surplus * _TAIL_BYTES]
            self.begin += surplus

    def look_up(self, user_id: UUID, position: Position) -> Known | Wrong | Unread:
        """Say what a client at a position of this partition, before `end`, has missed."""
        if position.offset < 0:
            # Nothing stands before the first record, so there is nothing to compare.
            known = self.begin == self._events_from == 0
            return Known(self._older_offsets(user_id, -1)) if known else Unread()
        if position.offset < self.begin or position.offset + 1 < self._events_from:
            return Unread()
        if self._tail_at(position.offset) != position.id_tail:
            return Wrong()
        return Known(self._older_offsets(user_id, position.offset))

    def recent_after(self, user_id: UUID, offset: int) -> Sequence[Arrival] | None:
        """Give a user's events behind an offset; None if one of them is no longer in memory."""
        if offset + 1 < self._events_from or self._older_offsets(user_id, offset):
            return None
        own = self._recent.get(user_id, ())
        return [arrival for arrival in own if arrival.position.offset > offset]

    def _tail_at(self, offset: int) -> bytes:
        start = (offset - self.begin) * _TAIL_BYTES
        return bytes(self._tails[start : start + _TAIL_BYTES])

    def _older_offsets(self, user_id: UUID, offset: int) -> tuple[int, ...]:
        return tuple(own for own in self._older.get(user_id, ()) if own > offset)
