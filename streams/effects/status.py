"""Status: how far an app is in each partition, how far behind, and what keeps it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from time import monotonic, time

from streams.effects.lookup import read_one
from streams.effects.worker import Worker
from streams.store.database import Database
from streams.store.dead_letters import DeadLetter, count_waiting, newest_dead_letter
from streams.store.offsets import all_offsets
from streams.store.pauses import PausedApp, find_pause
from streams.transport.interface import Extent, Transport

RATE_S = 1.0
"""Over how long the rate is measured."""
LOOKS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class PartitionStatus:
    """One partition; `ledger` is None where the app has not begun, and counts as the start."""

    partition: int
    ledger: int | None
    log_start: int
    log_end: int
    lag: int
    lag_s: float | None
    """The age of the first record that was not processed; None if there is none."""
    rate: float
    """Records a second, over the last second."""
    dead: int
    trouble: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """One app, and its partitions."""

    app: str
    topic: str
    pause: PausedApp | None
    waiting: int
    newest: DeadLetter | None
    partitions: tuple[PartitionStatus, ...]

    @property
    def lag(self) -> int:
        """How many records are to be processed."""
        return sum(one.lag for one in self.partitions)

    @property
    def last_error(self) -> str | None:
        """Why a message of this app's died last: what is remembered through restarts."""
        return self.newest.error if self.newest else None

    @property
    def last_error_at(self) -> datetime | None:
        """When that was."""
        return self.newest.died_at if self.newest else None


async def status_of(worker: Worker, database: Database, transport: Transport) -> Status:
    """Look at an app from outside: what the tables and the log say, whether it runs or not.

    Takes `RATE_S` and a little more.
    """
    topic = worker.topic.name
    before, began_at = await all_offsets(database, worker.app, topic), monotonic()
    await asyncio.sleep(RATE_S)
    # The log after the ledger: so what is told as behind the end is behind it.
    ledger, took_s = await all_offsets(database, worker.app, topic), monotonic() - began_at
    extents = await transport.extents(topic)
    dead = await count_waiting(database, worker.app, topic)
    ages = await _ages(transport, topic, ledger, extents)
    return Status(
        app=worker.app,
        topic=topic,
        pause=await find_pause(database, worker.app),
        waiting=sum(dead.values()),
        newest=await newest_dead_letter(database, worker.app),
        partitions=tuple(
            PartitionStatus(
                partition=number,
                ledger=ledger.get(number),
                log_start=extent.start,
                log_end=extent.end,
                lag=max(0, extent.end - ledger.get(number, extent.start)),
                lag_s=ages.get(number),
                rate=max(0.0, (ledger.get(number, 0) - before.get(number, 0)) / took_s),
                dead=dead.get(number, 0),
                trouble=_trouble(ledger.get(number), extent),
            )
            for number, extent in sorted(extents.items())
        ),
    )


async def _ages(
    transport: Transport, topic: str, ledger: Mapping[int, int], extents: Mapping[int, Extent]
) -> Mapping[int, float]:
    """Give how old the first unprocessed record of each partition is that has one."""
    turn = asyncio.Semaphore(LOOKS_AT_ONCE)
    ages: dict[int, float] = {}

    async def look(number: int, offset: int) -> None:
        async with turn:
            record = await read_one(transport, topic, number, offset)
        if record is not None:
            ages[number] = max(0.0, time() - record.timestamp_ms / 1000)

    firsts = {
        number: max(ledger.get(number, extent.start), extent.start)
        for number, extent in extents.items()
    }
    behind = [(n, offset) for n, offset in firsts.items() if offset < extents[n].end]
    await asyncio.gather(*(look(number, offset) for number, offset in behind))
    return ages


def _trouble(offset: int | None, extent: Extent) -> str | None:
    if offset is None or extent.start <= offset <= extent.end:
        return None
    return "outside of the log: rewind"
