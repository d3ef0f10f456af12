"""Resuming: what a client has missed, from memory, or from the log for as little as that takes."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import assert_never
from uuid import UUID

from prometheus_client import Counter, Histogram

from gateway.arrivals import Arrival, read_arrival
from gateway.feed import Feed, Lane
from gateway.history import Known, Unread, Wrong
from gateway.limits import Limits
from gateway.search import Reason, Search, Sweep
from schemas.partitions import partition_of
from schemas.positions import Position
from schemas.topics import TASK_UPDATES
from streams.transport.interface import (
    Record,
    Tail,
    Transport,
    TransportError,
    TransportUnavailableError,
)

_TOPIC = TASK_UPDATES.name
NEAR_RECORDS = 200
"""Offsets that lie so near to each other are read in one go: about what a fetch brings anyway."""
GROUPS_MAX = 50
"""With more of them, going through all that lies between is no more work."""
_LOOK_S = 0.02

RESUMES = Counter(
    "taskflow_gateway_resumes_total", "Clients that came back with a position.", ["how"]
)
SEARCHED_BYTES = Counter(
    "taskflow_gateway_searched_bytes_total", "Bytes of records read from the log for resumes."
)
RESUME_SECONDS = Histogram(
    "taskflow_gateway_resume_seconds", "From a position to the events that it missed."
)


@dataclass(frozen=True, slots=True)
class Missed:
    """The events behind a position that were not in memory: all of them up to an offset."""

    arrivals: Sequence[Arrival]
    read_to: int


@dataclass(slots=True)
class Resumer:
    """Finds what clients have missed. Searches of one partition that wait are done together."""

    transport: Transport
    feed: Feed
    limits: Limits
    _waiting: dict[int, list[tuple[Search, "asyncio.Future[None]"]]] = field(default_factory=dict)
    _partitions: "asyncio.Queue[int]" = field(default_factory=asyncio.Queue)
    _turns: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        """Allow as many readers at a time as the limits say."""
        self._turns = asyncio.Semaphore(self.limits.searches_at_a_time)

    async def missed(self, user_id: UUID, position: Position) -> Missed | Reason:
        """Give the events behind a position that are not in the feed's memory, in order.

        The feed has those behind `read_to`. A reason is given instead if the client must load
        afresh. `TransportError` is raised if the log does not answer in `resume_s_max`.
        """
        began_at = monotonic()
        try:
            async with asyncio.timeout(self.limits.resume_s_max):
                found, how = await self._find(user_id, position)
        except TimeoutError as error:
            raise TransportUnavailableError("the log was not read in time") from error
        RESUMES.labels(how).inc()
        RESUME_SECONDS.observe(monotonic() - began_at)
        return found

    async def run(self) -> None:
        """Search the log for whoever waits, until cancelled; several may run side by side."""
        while True:
            partition = await self._partitions.get()
            waiting = self._waiting.pop(partition)
            searches = [search for search, done in waiting if not done.done()]
            async with self._turns:
                try:
                    await self._search(partition, searches)
                except TransportError as error:
                    _settle(waiting, error)
                else:
                    _settle(waiting, None)

    async def _find(self, user_id: UUID, position: Position) -> tuple[Missed | Reason, str]:
        if not await self._may_be_ours(user_id, position):
            return Reason.UNKNOWN, "unknown"
        lane = self.feed.lane_of(user_id)
        match lane.history.look_up(user_id, position):
            case Known(()):
                return Missed((), position.offset), "memory"
            case Known(offsets) if len(groups := clusters(offsets, NEAR_RECORDS)) <= GROUPS_MAX:
                found = await self._read_known(position.partition, groups)
                return Missed(found, offsets[-1]), "offsets"
            case Wrong():
                return Reason.UNKNOWN, "unknown"
            case Known() | Unread() if self._is_far(lane, position):
                return Reason.TOO_MUCH, Reason.TOO_MUCH.value
            case Known() | Unread():
                search = Search(user_id, position)
                await self._wait_for(search)
                how = search.reason.value if search.reason else "log"
                return search.reason or Missed(search.found, search.read_to), how
            case never:
                assert_never(never)

    async def _may_be_ours(self, user_id: UUID, position: Position) -> bool:
        """Tell whether a position can be in this log; waits for one that our tail has not reached.

        Another gateway may be a little ahead of this one.
        """
        extents = await self.transport.extents(_TOPIC) if self._is_ahead(user_id, position) else {}
        if position.partition != partition_of(str(user_id).encode(), self.feed.partitions):
            return False
        while self._is_ahead(user_id, position):
            if position.offset >= extents[position.partition].end:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def _is_far(self, lane: Lane, position: Position) -> bool:
        return lane.history.recent_from - position.offset > self.limits.search_records_max

    def _is_ahead(self, user_id: UUID, position: Position) -> bool:
        return position.offset >= self.feed.lane_of(user_id).next_offset

    async def _wait_for(self, search: Search) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        partition = search.position.partition
        if partition not in self._waiting:
            self._waiting[partition] = []
            self._partitions.put_nowait(partition)
        self._waiting[partition].append((search, done))
        await done

    async def _search(self, partition: int, searches: Sequence[Search]) -> None:
        while searches:
            extent = (await self.transport.extents(_TOPIC))[partition]
            sweep = Sweep(
                searches,
                extent.start,
                self.limits.sieve_records,
                self.limits.search_bytes_max,
                self.limits.found_bytes_max,
            )
            if sweep.wanted:
                lane = self.feed.lane(partition)
                if lane is None:
                    raise TransportUnavailableError(f"{_TOPIC} is being read anew")
                async with self.transport.tail(_TOPIC, {partition: sweep.begin}) as tail:
                    await self._sweep(sweep, tail, lane)
                    sweep.finish()
            searches = sweep.left_over

    async def _sweep(self, sweep: Sweep, tail: Tail, lane: Lane) -> None:
        """Read until memory has all that follows, or nobody wants more."""
        offset = sweep.begin
        while sweep.wanted and offset < lane.history.recent_from:
            for record in await self._read(tail):
                sweep.take(record)
                offset = record.offset + 1
                if offset >= lane.history.recent_from:
                    break
            await asyncio.sleep(0)

    async def _read_known(
        self, partition: int, groups: Sequence[Sequence[int]]
    ) -> Sequence[Arrival]:
        """Read the records at these offsets, which the sieve has let through already."""
        found: list[Arrival] = []
        async with self._turns:
            for near in groups:
                wanted = set(near)
                async with self.transport.tail(_TOPIC, {partition: near[0]}) as tail:
                    last = -1
                    while last < near[-1]:
                        for record in await self._read(tail):
                            last = record.offset
                            if last in wanted:
                                found.append(read_arrival(record))
        return found

    async def _read(self, tail: Tail) -> Sequence[Record]:
        records = await tail.read(self.limits.read_records_max, self.limits.read_timeout_s)
        if not records:
            raise TransportUnavailableError(f"{_TOPIC} shows no record that it must have")
        SEARCHED_BYTES.inc(sum(len(record.value or b"") for record in records))
        return records


def clusters(offsets: Sequence[int], near: int) -> Sequence[Sequence[int]]:
    """Group rising offsets, so that within a group none is more than `near` behind the last."""
    groups: list[list[int]] = []
    for offset in offsets:
        if groups and offset - groups[-1][-1] <= near:
            groups[-1].append(offset)
        else:
            groups.append([offset])
    return groups


def _settle(
    waiting: Sequence[tuple[Search, "asyncio.Future[None]"]], error: Exception | None
) -> None:
    for _, done in waiting:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
