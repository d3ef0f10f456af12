"""The feed: how far each partition was read, which of its records count, and its latest position.

It is pure: the tail gives it records, and takes back what is to be delivered.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from prometheus_client import Counter

from gateway.arrivals import Arrival, BadRecordError, read_arrival
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


@dataclass(slots=True)
class Lane:
    """One partition: the offset to read next, the end that it had at the start, what came last."""

    sieve: Sieve
    next_offset: int
    live_from: int
    latest: Position


@dataclass(slots=True)
class Feed:
    """All partitions of task-updates, empty until `begin` and again after `forget`."""

    warm_records_max: int
    _lanes: dict[int, Lane] = field(default_factory=dict)

    def begin(self, extents: Mapping[int, Extent]) -> None:
        """Start each partition a little before its end, to fill its sieve."""
        self._lanes = {
            partition: Lane(
                sieve=Sieve(self.warm_records_max),
                next_offset=max(extent.start, extent.end - self.warm_records_max),
                live_from=extent.end,
                latest=Position(partition, -1),
            )
            for partition, extent in extents.items()
        }

    def forget(self) -> None:
        """Know nothing any more: the log is not the one that was read."""
        self._lanes = {}

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
        return self._lanes[partition_of(str(user_id).encode(), len(self._lanes))].latest

    def take(self, record: Record) -> Arrival | None:
        """Move behind a record, and give it if clients are to have it.

        A record that is no event moves the position too, with an empty tail. One before the end at
        the start only fills the sieve; one that was taken before is ignored.
        """
        lane = self._lanes[record.partition]
        if record.offset < lane.next_offset:
            return None
        lane.next_offset = record.offset + 1
        try:
            arrival = read_arrival(record)
        except BadRecordError as error:
            lane.latest = Position(record.partition, record.offset)
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
        if not lane.sieve.admits(arrival.event_id, arrival.epoch):
            RECORDS_DROPPED.labels("repeated").inc()
            return None
        return arrival if record.offset >= lane.live_from else None
