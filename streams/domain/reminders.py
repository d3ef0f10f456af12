"""What a worker holds of the reminders to come: a bounded window in the order of their instants."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from uuid import UUID

RETRY_MIN, RETRY_MAX = timedelta(milliseconds=20), timedelta(seconds=5)
STALE_FACTOR = 2
"""So many places of the heap for each reminder, at the most; what moved leaves its old one."""
STALE_MIN = 1_000


@dataclass(frozen=True, slots=True)
class Planned:
    """A reminder that is to fire, as the table had it."""

    id: UUID
    task_id: UUID
    user_id: UUID
    fires_at: datetime
    version: int
    """The version of the task that planned it."""


@dataclass(slots=True)
class Window:
    """Reminders by when each is to be tried; a cache, of which nothing is true but in the table."""

    _planned: dict[UUID, tuple[datetime, Planned]] = field(default_factory=dict)
    _heap: list[tuple[datetime, UUID]] = field(default_factory=list)

    def __len__(self) -> int:
        """Count the reminders."""
        return len(self._planned)

    def put(self, planned: Planned) -> None:
        """Take a reminder in, or another instant of one that is there."""
        known = self._planned.get(planned.id)
        if known is None or known[1].fires_at != planned.fires_at:
            self._put_at(planned.fires_at, planned)

    def put_back(self, planned: Planned, now: datetime) -> None:
        """Try again, at its instant or after a pause that grows with how long it has waited.

        Unless it has another instant by now.
        """
        if planned.id in self._planned:
            return
        waited = now - planned.fires_at
        if waited < timedelta():
            self._put_at(planned.fires_at, planned)
        else:
            self._put_at(now + min(max(waited, RETRY_MIN), RETRY_MAX), planned)

    def take_due(self, now: datetime, limit: int) -> Sequence[Planned]:
        """Take out what is to be tried by now, in the order of the instants, at most `limit`."""
        due: list[Planned] = []
        while len(due) < limit and (at := self.next_at()) is not None and at <= now:
            _, reminder_id = heappop(self._heap)
            due.append(self._planned.pop(reminder_id)[1])
        return sorted(due, key=lambda planned: (planned.fires_at, planned.id))

    def next_at(self) -> datetime | None:
        """Give the next instant at which something is to be tried."""
        while self._heap:
            at, reminder_id = self._heap[0]
            known = self._planned.get(reminder_id)
            if known is not None and known[0] == at:
                return at
            heappop(self._heap)
        return None

    def holds(self, planned: Planned) -> bool:
        """Tell whether this reminder is here with this instant."""
        known = self._planned.get(planned.id)
        return known is not None and known[1].fires_at == planned.fires_at

    def clear(self) -> None:
        """Forget everything."""
        self._planned.clear()
        self._heap.clear()

    def _put_at(self, at: datetime, planned: Planned) -> None:
        self._planned[planned.id] = at, planned
        heappush(self._heap, (at, planned.id))
        if len(self._heap) > STALE_MIN + STALE_FACTOR * len(self._planned):
            self._heap = [(at, reminder_id) for reminder_id, (at, _) in self._planned.items()]
            heapify(self._heap)
