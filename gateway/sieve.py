"""What a partition's readers drop: event ids seen already, and records of a relay put down."""

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(slots=True)
class Sieve:
    """Remembers the last `ids_max` event ids of one partition, and its highest epoch.

    A record whose epoch is below the highest came from a relay that had lost its lease. Its id is
    not remembered: the relay that leads now sends the same row as well, and that copy counts. An id
    that comes again is remembered as if it were new, since a row may be sent more than twice.
    """

    ids_max: int
    _epoch: int = 0
    _ids: dict[UUID, None] = field(default_factory=dict)
    """In the order in which they came last."""

    def admits(self, event_id: UUID, epoch: int | None) -> bool:
        """Say whether a record counts, and remember it; one without an epoch is never too late."""
        if epoch is not None:
            if epoch < self._epoch:
                return False
            self._epoch = epoch
        known = event_id in self._ids
        if known:
            del self._ids[event_id]
        self._ids[event_id] = None
        if len(self._ids) > self.ids_max:
            del self._ids[next(iter(self._ids))]
        return not known
