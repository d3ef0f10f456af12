"""The ledger as one process knows it: the next offset of each partition."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from streams.effects.retrying import Trouble
from streams.effects.worker import Worker
from streams.store.database import Database, StoreError
from streams.store.offsets import all_offsets, next_offset
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

        Where the log does not reach, something was lost, or the topic was made anew: it stays red
        until an operator has put the ledger where the log is.
        """
        while partition not in self._known:
            offset = await self._read(partition, (await self.extents())[partition].start)
            # Asked for after the ledger, which another worker may have moved meanwhile.
            extent = (await self.extents())[partition]
            if extent.start <= offset <= extent.end:
                self._known[partition] = offset
            else:
                await self.trouble.pause(self._outside(partition, offset, extent))
        return self._known[partition]

    async def refresh(self) -> None:
        """Forget what an operator or another worker has moved since; waits for the database."""
        while True:
            try:
                offsets = await all_offsets(self.database, self.worker.app, self.worker.topic.name)
            except StoreError as error:
                await self.trouble.pause(f"the database refuses: {error}")
            else:
                self._known = {
                    partition: offset
                    for partition, offset in self._known.items()
                    if offsets.get(partition) == offset
                }
                return

    def lag(self, partition: int, extent: Extent) -> int | None:
        """Give how far the end of the log is; None if the ledger of this partition is not known."""
        offset = self._known.get(partition)
        return None if offset is None else max(0, extent.end - offset)

    def _outside(self, partition: int, offset: int, extent: Extent) -> str:
        place = f"{self.worker.topic.name}[{partition}]"
        return (
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
