"""What a partition's readers drop: event ids seen already, and records of a relay put down."""

from collections import deque
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(slots=True)
class Sieve:
    """Remembers the last `ids_max` event ids of one partition, and its highest epoch.

    A record whose epoch is below the highest came from a relay that had lost its lease. Its id is
    not remembered: the relay that leads now sends the same row as well, and that copy counts.
    """

    ids_max: int
    _epoch: int = 0
    _ids: set[UUID] = field(default_factory=set)
    _order: deque[UUID] = field(default_factory=deque)

    def admits(self, event_id: UUID, epoch: int | None) -> bool:
        """Say whether a record counts, and remember it; one without an epoch is never too late."""
        if epoch is not None:
            if epoch < self._epoch:
                return False
            self._epoch = epoch
        if event_id in self._ids:
            return False
        self._remember(event_id)
        return True

    def _remember(self, event_id: UUID) -> None:
        self._ids.add(event_id)
        self._order.append(event_id)
        if len(self._order) > self.ids_max:
            self._ids.discard(self._order.popleft())
