"""Resuming: what a client has missed, from memory, or from the log for as little as that takes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeAlias, TypeVar, assert_never
from uuid import UUID

from prometheus_client import Counter, Histogram

from gateway.arrivals import Arrival, BadRecordError
from gateway.feed import Feed, Lane
from gateway.history import Known, Unread, Wrong
from gateway.limits import Limits
from gateway.lookup import Lookup, Pass, clusters
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

W = TypeVar("W")
Waiting: TypeAlias = dict[W, asyncio.Future[None]]
Job: TypeAlias = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Missed:
    """The events behind a position that were not in memory: all of them up to an offset."""

    arrivals: Sequence[Arrival]
    read_to: int


@dataclass(slots=True)
class Resumer:
    """Finds what clients have missed. What waits for one partition is read for all together."""

    transport: Transport
    feed: Feed
    limits: Limits
    _searches: dict[int, Waiting[Search]] = field(default_factory=dict)
    _lookups: dict[int, Waiting[Lookup]] = field(default_factory=dict)
    _jobs: "asyncio.Queue[Job]" = field(default_factory=asyncio.Queue)

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
        """Read the log for whoever waits, until cancelled; several may run side by side."""
        while True:
            job = await self._jobs.get()
            await job()

    async def _find(self, user_id: UUID, position: Position) -> tuple[Missed | Reason, str]:
        if not await self._may_be_ours(user_id, position):
            return Reason.UNKNOWN, "unknown"
        lane = self.feed.lane_of(user_id)
        match lane.history.look_up(user_id, position):
            case Known(()):
                return Missed((), position.offset), "memory"
            case Known(offsets) if len(clusters(offsets, NEAR_RECORDS)) <= GROUPS_MAX:
                lookup = Lookup(offsets)
                await self._wait(self._lookups, position.partition, lookup, self._look_up)
                return Missed(lookup.found, offsets[-1]), "offsets"
            case Wrong():
                return Reason.UNKNOWN, "unknown"
            case Known() | Unread() if self._is_far(lane, position):
                return Reason.TOO_MUCH, Reason.TOO_MUCH.value
            case Known() | Unread():
                search = Search(user_id, position)
                await self._wait(self._searches, position.partition, search, self._search)
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

    async def _wait(
        self,
        queue: dict[int, Waiting[W]],
        partition: int,
        wanted: W,
        work: Callable[[int, Waiting[W]], Awaitable[None]],
    ) -> None:
        """Wait until some work is done, together with all of its kind that waits when it begins."""

        async def job() -> None:
            waiting = queue.pop(partition)
            try:
                await work(partition, waiting)
            except (TransportError, BadRecordError) as error:
                _settle(waiting.values(), error)
            else:
                _settle(waiting.values(), None)

        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if partition not in queue:
            queue[partition] = {}
            self._jobs.put_nowait(job)
        queue[partition][wanted] = done
        await done

    async def _search(self, partition: int, waiting: Waiting[Search]) -> None:
        searches: Sequence[Search] = [s for s, done in waiting.items() if not done.done()]
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

    async def _look_up(self, partition: int, waiting: Waiting[Lookup]) -> None:
        """Read the records at known offsets, which the sieve has let through already."""
        lookups = [lookup for lookup, done in waiting.items() if not done.done()]
        pass_ = Pass(lookups, NEAR_RECORDS, GROUPS_MAX)
        for group in pass_.groups:
            async with self.transport.tail(_TOPIC, {partition: group[0]}) as tail:
                offset = -1
                while offset < group[-1] and not all(done.done() for done in waiting.values()):
                    for record in await self._read(tail):
                        offset = record.offset
                        _settle((waiting[lookup] for lookup in pass_.take(record)), None)

    async def _read(self, tail: Tail) -> Sequence[Record]:
        records = await tail.read(self.limits.read_records_max, self.limits.read_timeout_s)
        if not records:
            raise TransportUnavailableError(f"{_TOPIC} shows no record that it must have")
        SEARCHED_BYTES.inc(sum(len(record.value or b"") for record in records))
        return records


def _settle(waiting: Iterable["asyncio.Future[None]"], error: Exception | None) -> None:
    for done in waiting:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
