"""The tail: one task reads all of task-updates, into the feed and from there to the hub."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import Counter

from gateway.feed import Feed
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.moment import Moment
from gateway.revocations import Revocations, revocation_of
from schemas.frames import Close
from schemas.topics import TASK_UPDATES
from streams.observability.health import NotReadyError
from streams.transport.interface import (
    OffsetOutOfRangeError,
    Record,
    Transport,
    TransportUnavailableError,
    UnknownTopicError,
)

TAILED_BYTES = Counter(
    "taskflow_gateway_tailed_bytes_total", "Bytes of records read from task-updates as they come."
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class TailReader:
    """Reads on for ever, and says by `check` whether it can.

    While the log does not answer, the clients stay and the reading goes on later from where it
    was. If that place has left the log, or the topic is gone, all clients are closed with 4004,
    since what they missed cannot be told, and the reading starts anew. Any other error ends the
    process.
    """

    transport: Transport
    feed: Feed
    hub: Hub
    revocations: Revocations
    limits: Limits
    clock: Callable[[], Moment]
    trouble: str | None = "the tail has not begun"

    async def run(self) -> None:
        """Read until cancelled."""
        wait_s = self.limits.retry_s_min
        while True:
            try:
                await self._read_on()
            except UnknownTopicError:
                trouble = f"topic {TASK_UPDATES.name} is missing: run `taskflow topics`"
                self._begin_anew()
            except TransportUnavailableError:
                trouble = "the log does not answer"
            except OffsetOutOfRangeError:
                trouble = "the place to read on from has left the log"
                self._begin_anew()
            if self.trouble is None:
                wait_s = self.limits.retry_s_min
            self._tell(trouble)
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self.limits.retry_s_max)

    async def check(self) -> None:
        """Return if the tail reads; raise `NotReadyError` with what keeps it."""
        if self.trouble:
            raise NotReadyError(self.trouble)

    async def _read_on(self) -> None:
        await self.transport.check()
        if not self.feed.begun:
            since = await self._since()
            self.feed.begin(await self.transport.extents(TASK_UPDATES.name), since)
        positions = self.feed.next_offsets()
        async with self.transport.tail(TASK_UPDATES.name, positions) as tail:
            while True:
                if self.feed.warm:
                    self._tell(None)
                records = await tail.read(self.limits.read_records_max, self.limits.read_timeout_s)
                TAILED_BYTES.inc(sum(len(record.value or b"") for record in records))
                for record in records:
                    if self._take(record):
                        # Sockets have their turn before more is written to them, or a burst for
                        # one user would look like a client that does not read.
                        await asyncio.sleep(0)
                # A read that finds records waiting may not suspend either.
                await asyncio.sleep(0)

    async def _since(self) -> Mapping[int, int]:
        """Give where a token's lifetime ago is: what was revoked since then must be known."""
        at_ms = int((self.clock().at.timestamp() - self.limits.warm_s) * 1000)
        return await self.transport.offsets_since(TASK_UPDATES.name, at_ms)

    def _take(self, record: Record) -> bool:
        """Take a record, and tell whether it was written to anybody."""
        arrival = self.feed.take(record)
        if arrival is None:
            return False
        written = self.hub.deliver(arrival)
        if revocation := revocation_of(arrival):
            self.revocations.note(revocation, self.clock().at)
            self.hub.revoke(revocation)
        return written

    def _begin_anew(self) -> None:
        self.feed.forget()
        self.hub.end_all(Close.LOG_UNAVAILABLE)

    def _tell(self, trouble: str | None) -> None:
        if trouble != self.trouble:
            _log.log(
                logging.WARNING if trouble else logging.INFO,
                "the tail of %s: %s",
                TASK_UPDATES.name,
                trouble or "reading",
            )
        self.trouble = trouble
