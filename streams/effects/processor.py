"""The processor: a partition's records in the log's order, each once, whatever Faust gives."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from streams.effects.committing import Committer, FencedError, Run
from streams.effects.ledger import Ledger
from streams.effects.pausing import Pause
from streams.effects.retrying import Trouble
from streams.effects.worker import Worker
from streams.observability.metrics import EFFECTS_GAPS, EFFECTS_HOLES, EFFECTS_LAG
from streams.store.database import Database
from streams.transport.interface import (
    Extent,
    OffsetOutOfRangeError,
    Record,
    Tail,
    Transport,
    TransportError,
    TransportUnavailableError,
)

PAGE = 500
"""Records that are read, and committed, at a time."""
READ_S_MAX = 3.0
"""How long the log may take to show a record that it must have."""


@dataclass(slots=True)
class Processor:
    """Makes a worker's effects follow the log without a gap.

    What comes is checked against the ledger: below it, it was done and is dropped; above it,
    something was lost on the way, and is read from the log itself with a reader of our own.
    """

    worker: Worker
    database: Database
    transport: Transport
    trouble: Trouble = field(default_factory=Trouble)
    ledger: Ledger = field(init=False)
    committer: Committer = field(init=False)
    pause: Pause = field(init=False)
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _seen: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the parts that share this worker's state."""
        self.ledger = Ledger(self.worker, self.database, self.transport, self.trouble)
        self.committer = Committer(self.worker, self.database, self.transport, self.trouble)
        self.pause = Pause(self.worker.app, self.database, self.trouble)

    async def check(self) -> str | None:
        """Return while nothing keeps the worker from going on but an operator's pause."""
        await self.trouble.check()
        return "paused" if self.pause.on else None

    async def process(self, records: Sequence[Record]) -> None:
        """Commit records of any partitions; returns when the ledger is behind all of them.

        Raises `StoppingError` when the process stops. Cancelled, it leaves each partition as it was
        after some whole run.
        """
        by_partition: dict[int, list[Record]] = defaultdict(list)
        for record in records:
            by_partition[record.partition].append(record)
        async with self._turn:
            for partition, own in by_partition.items():
                await self._advance(partition, own)

    async def catch_up(self, partitions: Sequence[int]) -> None:
        """Commit what the log has and nobody has brought since the last call.

        It is called every few seconds, and does nothing while the worker is at work; while it is
        paused, it tells how far behind it is. What an operator has moved is noticed here.
        """
        if self._turn.locked():
            if self.pause.on:
                self._tell_lag(await self.ledger.extents())
            return
        async with self._turn:
            await self.pause.look()
            await self.ledger.refresh()
            extents = await self.ledger.extents()
            for partition in partitions:
                await self._catch_up_one(partition, extents[partition])
            self.trouble.over()

    def _tell_lag(self, extents: Mapping[int, Extent]) -> None:
        for partition, extent in extents.items():
            if (lag := self.ledger.lag(partition, extent)) is not None:
                EFFECTS_LAG.labels(self.worker.app, partition).set(lag)

    async def _catch_up_one(self, partition: int, extent: Extent) -> None:
        expected = await self.ledger.expected(partition)
        EFFECTS_LAG.labels(self.worker.app, partition).set(max(0, extent.end - expected))
        if self.pause.on:
            return
        if expected > extent.end:
            # Another worker may have moved it since the log was asked: what is known is read anew.
            self.ledger.forget(partition)
            expected = await self.ledger.expected(partition)
        if expected >= extent.end:
            return
        if self._seen.get(partition) == expected:
            while (expected := await self.ledger.expected(partition)) < extent.end:
                await self._fill(partition, expected, min(extent.end, expected + PAGE))
        self._seen[partition] = expected

    async def _advance(self, partition: int, records: Sequence[Record]) -> None:
        rest = list(records)
        while rest:
            expected = await self.ledger.expected(partition)
            rest = [record for record in rest if record.offset >= expected]
            if not rest:
                return
            if rest[0].offset > expected:
                end = min(rest[0].offset, expected + PAGE)
                await self._fill(partition, expected, end)
            else:
                await self._commit(leading_run(rest))

    async def _fill(self, partition: int, begin: int, end: int) -> None:
        """Read from the log what did not come, and commit it.

        Where the log does not reach, what is known of the ledger is read anew: it may be long ago
        that this worker had the partition. If it is as it was, that waits for an operator.
        """
        try:
            records = await self._read(partition, begin, end)
        except OffsetOutOfRangeError:
            self.ledger.forget(partition)
            await self.ledger.expected(partition)
            return
        EFFECTS_HOLES.labels(self.worker.app).inc(len(records))
        EFFECTS_GAPS.labels(self.worker.app).inc(end - begin - len(records))
        await self._commit(Run(partition, begin, end, records))

    async def _read(self, partition: int, begin: int, end: int) -> Sequence[Record]:
        topic = self.worker.topic.name
        while True:
            try:
                async with self.transport.tail(topic, {partition: begin}) as tail:
                    return await read_until(tail, end)
            except OffsetOutOfRangeError:
                raise
            except TransportError as error:
                await self.trouble.pause(f"the log does not answer: {error}")

    async def _commit(self, run: Run) -> None:
        self.trouble.raise_if_stopping()
        await self.pause.wait_until_over()
        try:
            await self.committer.commit(run)
        except FencedError:
            self.ledger.forget(run.partition)
            self.pause.doubt()
        else:
            self.ledger.know(run.partition, run.end)


def leading_run(records: Sequence[Record]) -> Run:
    """Give the records from the first on that follow each other without a hole."""
    first = records[0]
    length = next(
        (index for index, record in enumerate(records) if record.offset != first.offset + index),
        len(records),
    )
    return Run(first.partition, first.offset, first.offset + length, records[:length])


async def read_until(tail: Tail, end: int) -> Sequence[Record]:
    """Read what is below `end`; a record from `end - 1` on is the proof that nothing is missing.

    Raises `TransportUnavailableError` if the log does not show one within `READ_S_MAX`.
    """
    found: list[Record] = []
    while not found or found[-1].offset < end - 1:
        page = await tail.read(PAGE, READ_S_MAX)
        if not page:
            raise TransportUnavailableError(f"the log does not show offset {end - 1}")
        found += page
    return [record for record in found if record.offset < end]
