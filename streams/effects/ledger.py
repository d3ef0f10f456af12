"""The ledger as one process knows it: the next offset of each partition."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from streams.effects.retrying import Trouble
from streams.effects.worker import Worker
from streams.store.database import Database, StoreError
from streams.store.offsets import next_offset
from streams.transport.interface import Extent, Transport, TransportError


@dataclass(slots=True)
class Ledger:
    """Remembers next offsets; what it forgets it reads again, and checks against the log."""

    worker: Worker
    database: Database
    transport: Transport
    trouble: Trouble
    _known: dict[int, int] = field(default_factory=dict)

    def know(self, partition: int, offset: int) -> None:
        """Note what a commit has moved a partition to."""
        self._known[partition] = offset

    def forget(self, partition: int) -> None:
        """Read a partition's row anew when it is needed next."""
        self._known.pop(partition, None)

    async def expected(self, partition: int) -> int:
        """Give the offset that comes next; waits for the database and the log.

        Halts where the log does not reach: something was lost, or the topic was made anew.
        """
        if partition not in self._known:
            offset = await self._read(partition, (await self.extents())[partition].start)
            # Asked for after the ledger, which another worker may have moved meanwhile.
            extent = (await self.extents())[partition]
            if not extent.start <= offset <= extent.end:
                await self.halt(partition, offset, extent)
            self._known[partition] = offset
        return self._known[partition]

    async def halt(self, partition: int, offset: int, extent: Extent) -> NoReturn:
        """Stop for good, and say what an operator can do."""
        place = f"{self.worker.topic.name}[{partition}]"
        await self.trouble.halt(
            f"the ledger is at {offset} of {place}, and the log has {extent.start} to {extent.end}:"
            f" decide from where to go on, and `rewind` {self.worker.app} to it"
        )

    async def extents(self) -> Mapping[int, Extent]:
        """Give what the log has of each partition; waits for the log."""
        while True:
            try:
                return await self.transport.extents(self.worker.topic.name)
            except TransportError as error:
                await self.trouble.pause(f"the log does not answer: {error}")

    async def _read(self, partition: int, start: int) -> int:
        while True:
            try:
                return await next_offset(
                    self.database, self.worker.app, self.worker.topic.name, partition, start
                )
            except StoreError as error:
                await self.trouble.pause(f"the database refuses: {error}")
