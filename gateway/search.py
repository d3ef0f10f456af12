"""A search of the log for what clients of one partition have missed: pure, record by record."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from uuid import UUID

from gateway.arrivals import Arrival, BadRecordError, read_arrival
from gateway.sieve import Sieve
from schemas.positions import Position
from streams.transport.interface import Record


class Reason(Enum):
    """Why a client must load afresh, as the contract calls it."""

    EXPIRED = "expired"
    UNKNOWN = "unknown"
    TOO_MUCH = "too_much"


@dataclass(slots=True, eq=False)
class Search:
    """One client's: what was found of it, or why it failed."""

    user_id: UUID
    position: Position
    found: list[Arrival] = field(default_factory=list)
    read_to: int = -1
    """The offset of the last record that was looked at for it."""
    reason: Reason | None = None
    _found_bytes: int = 0
    _began_bytes: int = 0

    def begin(self, bytes_read: int) -> None:
        """Note how much had been read when its position was reached."""
        self._began_bytes = bytes_read

    def add(self, arrival: Arrival, found_bytes_max: int) -> None:
        """Take an event, or fail if they are too many."""
        self._found_bytes += len(arrival.envelope)
        if self._found_bytes > found_bytes_max:
            self.fail(Reason.TOO_MUCH)
        else:
            self.found.append(arrival)

    def fail(self, reason: Reason) -> None:
        """Keep the first reason, and nothing that was found."""
        self.reason = self.reason or reason
        self.found.clear()

    def has_read(self, bytes_read: int) -> int:
        """Give how much was read for it."""
        return bytes_read - self._began_bytes


@dataclass(slots=True)
class Sweep:
    """One pass over a partition on behalf of many searches, from the oldest position on.

    It begins `ids_max` records earlier, to know which records are repeated. It reads on only while
    somebody wants what comes; `left_over` are those that it gave up to reach.
    """

    searches: Sequence[Search]
    start: int
    ids_max: int
    read_bytes_max: int
    found_bytes_max: int
    begin: int = field(init=False)
    """The offset at which to begin reading."""
    bytes_read: int = 0
    _offset: int = -1
    _reached: bool = False
    _sieve: Sieve = field(init=False)
    _ahead: deque[Search] = field(init=False)
    _active: deque[Search] = field(default_factory=deque)
    _by_user: dict[UUID, list[Search]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Sort the searches by position; those before the log's start have expired."""
        self._sieve = Sieve(self.ids_max)
        in_order = sorted(self.searches, key=lambda search: search.position.offset)
        self._ahead = deque()
        for search in in_order:
            if search.position.offset < 0 and self.start == 0:
                self._activate(search)
            elif search.position.offset < self.start:
                search.fail(Reason.EXPIRED)
            else:
                self._ahead.append(search)
        first = self._ahead[0].position.offset if self._ahead and not self._active else 0
        self.begin = max(self.start, first - self.ids_max)

    @property
    def wanted(self) -> bool:
        """Whether anybody is helped by reading on."""
        return bool(self._active) or (bool(self._ahead) and not self._reached)

    @property
    def left_over(self) -> Sequence[Search]:
        """The searches whose positions were not reached."""
        return tuple(self._ahead)

    def take(self, record: Record) -> None:
        """Look at the next record."""
        self._reach(record)
        self._offset = record.offset
        if self._active:
            self.bytes_read += len(record.value or b"")
        self._drop_the_failed()
        try:
            arrival = read_arrival(record)
        except BadRecordError:
            return
        if self._sieve.admits(arrival.event_id, arrival.epoch):
            for search in self._by_user.get(arrival.user_id, ()):
                if search.reason is None and record.offset > search.position.offset:
                    search.add(arrival, self.found_bytes_max)

    def finish(self) -> None:
        """Note up to where those that succeeded were searched for."""
        for search in self._active:
            search.read_to = max(self._offset, search.position.offset)

    def _reach(self, record: Record) -> None:
        while self._ahead and self._ahead[0].position.offset <= record.offset:
            search = self._ahead.popleft()
            self._reached = True
            if search.position == _position_of(record):
                self._activate(search)
            else:
                search.fail(Reason.UNKNOWN)

    def _activate(self, search: Search) -> None:
        search.begin(self.bytes_read)
        self._active.append(search)
        self._by_user[search.user_id].append(search)

    def _drop_the_failed(self) -> None:
        """Fail the oldest if too much was read for it; whoever failed wants nothing more."""
        while self._active:
            oldest = self._active[0]
            if oldest.has_read(self.bytes_read) > self.read_bytes_max:
                oldest.fail(Reason.TOO_MUCH)
            if oldest.reason is None:
                return
            self._active.popleft()


def _position_of(record: Record) -> Position:
    try:
        return read_arrival(record).position
    except BadRecordError:
        return Position(record.partition, record.offset)
