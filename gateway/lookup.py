"""Lookups: events whose offsets are known are read for many clients in one pass. It is pure."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.arrivals import Arrival, read_arrival
from streams.transport.interface import Record


@dataclass(slots=True, eq=False)
class Lookup:
    """One client's: rising offsets of one partition, and the events that were read there."""

    offsets: Sequence[int]
    found: list[Arrival] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Whether all have been read."""
        return len(self.found) == len(self.offsets)


@dataclass(slots=True)
class Pass:
    """One way through a partition, past all offsets that its lookups want.

    Offsets that lie near to each other are read in one go, and so are more distant ones if there
    would be more than `groups_max` to begin at.
    """

    lookups: Sequence[Lookup]
    near: int
    groups_max: int
    groups: Sequence[Sequence[int]] = field(init=False)
    """Rising offsets, each group to be read from its first to its last."""
    _wanting: dict[int, list[Lookup]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        """Put together who wants the same record."""
        for lookup in self.lookups:
            for offset in lookup.offsets:
                self._wanting[offset].append(lookup)
        offsets, near = sorted(self._wanting), self.near
        self.groups = clusters(offsets, near)
        while len(self.groups) > self.groups_max:
            near *= 2
            self.groups = clusters(offsets, near)

    def take(self, record: Record) -> Sequence[Lookup]:
        """Give a record to those that want it; tell which of them have all now.

        Raises `BadRecordError` if it is no event, as none of these was when it came first.
        """
        wanting = self._wanting.pop(record.offset, None)
        if not wanting:
            return ()
        arrival = read_arrival(record)
        for lookup in wanting:
            lookup.found.append(arrival)
        return [lookup for lookup in wanting if lookup.complete]


def clusters(offsets: Sequence[int], near: int) -> Sequence[Sequence[int]]:
    """Group rising offsets, so that within a group none is more than `near` behind the last."""
    groups: list[list[int]] = []
    for offset in offsets:
        if groups and offset - groups[-1][-1] <= near:
            groups[-1].append(offset)
        else:
            groups.append([offset])
    return groups
