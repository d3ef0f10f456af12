"""The feed: how far each partition was read, which of its records count, and its latest position.

It is pure: the tail gives it records, and takes back what is to be delivered.
"""

import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from prometheus_client import Counter

from gateway.arrivals import Arrival, BadRecordError, read_arrival
from gateway.history import History
from gateway.limits import Limits
from gateway.sieve import Sieve
from schemas.partitions import partition_of
from schemas.positions import Position
from streams.transport.interface import Extent, Record

RECORDS_DROPPED = Counter(
    "taskflow_gateway_records_dropped_total",
    "Records of task-updates that no client gets: bad, repeated, or of a relay put down.",
    ["why"],
)

_log = logging.getLogger(__name__)


_EVENT_BYTES = 600
"""What an event takes in memory beside its bytes, measured."""


@dataclass(slots=True)
class Lane:
    """One partition: the offset to read next, the end that it had at the start, what came last."""

    sieve: Sieve
    history: History
    next_offset: int
    live_from: int
    latest: Position


@dataclass(slots=True)
class Feed:
    """All partitions of task-updates, empty until `begin` and again after `forget`."""

    limits: Limits
    _lanes: dict[int, Lane] = field(default_factory=dict)
    _recent: deque[tuple[History, Arrival]] = field(default_factory=deque)
    _recent_bytes: int = 0

    def begin(self, extents: Mapping[int, Extent], since: Mapping[int, int]) -> None:
        """Start each partition at `since`, and some records earlier to fill its sieve."""
        self.forget()
        for partition, extent in extents.items():
            back = self.limits.sieve_records
            begin = max(extent.start, min(since[partition], extent.end) - back)
            self._lanes[partition] = Lane(
                sieve=Sieve(back),
                history=History(begin + back if begin else 0),
                next_offset=begin,
                live_from=extent.end,
                latest=Position(partition, -1),
            )

    def forget(self) -> None:
        """Know nothing any more: the log is not the one that was read."""
        self._lanes = {}
        self._recent.clear()
        self._recent_bytes = 0

    @property
    def begun(self) -> bool:
        """Whether there is a place to read on from."""
        return bool(self._lanes)

    @property
    def warm(self) -> bool:
        """Whether every partition was read up to the end that it had at the start."""
        return self.begun and all(
            lane.next_offset >= lane.live_from for lane in self._lanes.values()
        )

    def next_offsets(self) -> Mapping[int, int]:
        """Give where each partition is to be read on."""
        return {partition: lane.next_offset for partition, lane in self._lanes.items()}

    def latest_of(self, user_id: UUID) -> Position:
        """Give the position of the last record in a user's partition; only when `warm`."""
        return self.lane_of(user_id).latest

    @property
    def partitions(self) -> int:
        """The number of partitions; 0 unless `begun`."""
        return len(self._lanes)

    def lane(self, partition: int) -> Lane | None:
        """Give a partition; None unless `begun`."""
        return self._lanes.get(partition)

    def lane_of(self, user_id: UUID) -> Lane:
        """Give a user's partition; only when `begun`."""
        return self._lanes[partition_of(str(user_id).encode(), len(self._lanes))]

    def take(self, record: Record) -> Arrival | None:
        """Move behind a record, and give it if it counts.

        A record that is no event moves the position too, with an empty tail. One that was taken
        before is ignored.
        """
        lane = self._lanes[record.partition]
        if record.offset < lane.next_offset:
            return None
        lane.next_offset = record.offset + 1
        try:
            arrival = read_arrival(record)
        except BadRecordError as error:
            lane.latest = Position(record.partition, record.offset)
            lane.history.note(record.offset, lane.latest.id_tail)
            _log.warning(
                "%s[%d]@%d was skipped: %s",
                record.topic,
                record.partition,
                record.offset,
                error,
            )
            RECORDS_DROPPED.labels("bad").inc()
            return None
        lane.latest = arrival.position
        lane.history.note(record.offset, arrival.position.id_tail)
        if not lane.sieve.admits(arrival.event_id, arrival.epoch):
            RECORDS_DROPPED.labels("repeated").inc()
            return None
        self._keep(lane.history, arrival)
        return arrival

    def _keep(self, history: History, arrival: Arrival) -> None:
        """Remember an event, and forget the oldest of all partitions beyond the limits."""
        if not history.keep(arrival):
            return
        self._recent.append((history, arrival))
        self._recent_bytes += len(arrival.envelope) + _EVENT_BYTES
        while self._recent_bytes > self.limits.recent_bytes_max:
            oldest_history, oldest = self._recent.popleft()
            self._recent_bytes -= len(oldest.envelope) + _EVENT_BYTES
            oldest_history.let_go(oldest)
            oldest_history.forget(
                self.limits.indexed_events_max // len(self._lanes),
                self.limits.indexed_records_max // len(self._lanes),
            )
