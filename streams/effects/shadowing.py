"""Shadowing: an app's effects are written again from the log, beside those that it has written."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from streams.effects.command_line import Desk
from streams.effects.reading import Event, PoisonedError, PoisonError, read_event
from streams.operators.asking import RefusedError
from streams.store.audit_shadow import Shadow
from streams.store.database import Database, Fault, Session, StoreError
from streams.store.dead_letters import State, first_waiting, left_out
from streams.store.offsets import all_offsets
from streams.transport.interface import (
    Extent,
    OffsetOutOfRangeError,
    Record,
    TransportUnavailableError,
)

Write = Callable[[Sequence[Record]], Awaitable[None]]

PAGE = 1_000
READ_S_MAX = 10.0
"""How long the log may take to show a record that it must have."""
ROUNDS_MAX = 10
NEAR = 1_000
"""So many records behind the ledger are read with what follows."""


@dataclass(slots=True)
class Shadowing:
    """What was read of each partition, and what keeps the shadow from being the truth.

    It reads one page at a time, which the transport limits to a few MiB.
    """

    desk: Desk
    shadow: Shadow
    extents: Mapping[int, Extent]
    told: Callable[[str], None]
    positions: dict[int, int] = field(default_factory=dict)
    whys: dict[int, str] = field(default_factory=dict)
    """By partition, the first thing because of which nothing may be swapped."""
    records: int = 0

    @property
    def app(self) -> str:
        """The app whose effects they are."""
        return self.desk.worker.app

    def place(self, partition: int) -> str:
        """Name a partition."""
        return f"{self.desk.worker.topic.name}[{partition}]"

    async def begin(self) -> None:
        """Take up the partitions where the log begins, and note what it no longer has."""
        topic = self.desk.worker.topic.name
        ledger = await all_offsets(self.desk.database, self.app, topic)
        for partition, extent in self.extents.items():
            offset = ledger.get(partition, extent.start)
            # What a ledger behind the end means is not known: nothing of that is read.
            self.positions[partition] = max(offset, extent.start)
            if offset > extent.end:
                self.whys[partition] = (
                    f"the ledger is at {offset} of {self.place(partition)}, and the log ends at"
                    f" {extent.end}: the topic was made anew, and what was in it is nowhere else;"
                    f" `faust -A streams.{self.app} rewind` puts the ledger into the new one"
                )
                continue
            self.positions[partition] = extent.start
            if extent.start > 0:
                self.whys[partition] = (
                    f"{self.place(partition)} begins at {extent.start}: what was before that is"
                    " no longer in the log, and would be lost"
                )
            await self.look_for_letters(self.desk.database, partition, offset)

    async def look_for_letters(self, session: Database | Session, partition: int, end: int) -> None:
        """Note a letter that waits below an offset."""
        topic = self.desk.worker.topic.name
        letter = await first_waiting(session, self.app, topic, partition, end)
        if letter is not None:
            self.note(
                partition,
                f"dead letter #{letter.id} waits at {self.place(partition)}@{letter.offset}:"
                f" `faust -A streams.{self.app} dlq replay {letter.id}` or `dlq drop` it first",
            )

    def note(self, partition: int, why: str) -> None:
        """Keep the first thing of a partition because of which nothing may be swapped."""
        self.whys.setdefault(partition, why)

    def goals(self, ledger: Mapping[int, int]) -> Mapping[int, int]:
        """Give where to read to; refuse if the ledger went back, which nobody can follow."""
        goals = {}
        for partition, position in self.positions.items():
            offset = ledger.get(partition, self.extents[partition].start)
            if offset < position and offset >= self.extents[partition].start:
                raise RefusedError(
                    f"{self.app} was rewound meanwhile, in {self.place(partition)}: begin again."
                )
            goals[partition] = max(offset, position)
        return goals

    def left(self, goals: Mapping[int, int]) -> int:
        """Count what is to be read yet."""
        return sum(goal - self.positions[partition] for partition, goal in goals.items())

    async def catch_up(self) -> None:
        """Come near to the ledger, in transactions of a page each; a worker goes on meanwhile."""
        for _ in range(ROUNDS_MAX):
            topic = self.desk.worker.topic.name
            goals = self.goals(await all_offsets(self.desk.database, self.app, topic))
            if self.left(goals) <= NEAR:
                return
            await self.read_to(goals, self._commit)

    async def read_within(self, session: Session, goals: Mapping[int, int]) -> None:
        """Read what is left within a transaction."""

        async def write(page: Sequence[Record]) -> None:
            await self._write(session, page)

        await self.read_to(goals, write)

    async def read_to(
        self,
        goals: Mapping[int, int],
        write: Write,
    ) -> None:
        """Read each partition up to its goal, one after the other."""
        for partition, goal in goals.items():
            if self.positions[partition] < goal:
                await self._read(partition, goal, write)

    async def _read(self, partition: int, goal: int, write: Write) -> None:
        async def take(page: Sequence[Record]) -> None:
            self._note_gaps(partition, page)
            await write(page)
            self.positions[partition] = page[-1].offset + 1
            self.records += len(page)
            self.told(f"{self.place(partition)}: {self.positions[partition]:,} of {goal:,}")

        await self.look_on(partition, goal, take)
        self.positions[partition] = goal

    async def look_on(self, partition: int, end: int, take: Write) -> None:
        """Give what is below `end` from the position on, a page at a time; it stays where it is."""
        position = self.positions[partition]
        if position >= end:
            return
        topic = self.desk.worker.topic.name
        try:
            async with self.desk.transport.tail(topic, {partition: position}) as tail:
                while position < end:
                    page = await tail.read(PAGE, READ_S_MAX)
                    if not page:
                        raise TransportUnavailableError(f"the log does not show offset {end - 1}")
                    position = page[-1].offset + 1
                    if wanted := [record for record in page if record.offset < end]:
                        await take(wanted)
        except OffsetOutOfRangeError as error:
            raise RefusedError(
                f"{self.place(partition)} was cut off or made anew while it was read: begin again."
            ) from error

    def _note_gaps(self, partition: int, page: Sequence[Record]) -> None:
        expected = self.positions[partition]
        for record in page:
            if record.offset != expected:
                self.note(
                    partition,
                    f"{self.place(partition)} has nothing from {expected} to {record.offset - 1}:"
                    " the log has lost it",
                )
                return
            expected += 1

    async def _commit(self, page: Sequence[Record]) -> None:
        """Write a page in a transaction of its own; what the tables refuse is found by halving."""
        try:
            async with self.shadow.transaction() as session:
                await self._write(session, page)
        except StoreError as error:
            if error.fault is not Fault.DATA:
                raise
            if len(page) == 1:
                self._unreadable(page[0].partition, page[0].offset, str(error))
                return
            for half in (page[: len(page) // 2], page[len(page) // 2 :]):
                await self._commit(half)

    async def _write(self, session: Session, page: Sequence[Record]) -> None:
        """Write a page as the worker did: what died there and was not replayed is left out."""
        partition, topic = page[0].partition, self.desk.worker.topic.name
        dead = await left_out(
            session, self.app, topic, partition, page[0].offset, page[-1].offset + 1
        )
        if State.WAITING in dead.values():
            await self.look_for_letters(session, partition, page[-1].offset + 1)
        events = self._events([record for record in page if record.offset not in dead])
        try:
            if events:
                await self.desk.worker.apply(session, events)
        except PoisonedError as error:
            for offset, reason in sorted(error.errors.items()):
                self._unreadable(partition, offset, str(reason))
            good = [event for event in events if event.record.offset not in error.errors]
            if good:
                await self.desk.worker.apply(session, good)

    def _events(self, records: Sequence[Record]) -> Sequence[Event]:
        events = []
        for record in records:
            try:
                event = read_event(record)
            except PoisonError as error:
                self._unreadable(record.partition, record.offset, str(error))
            else:
                if event.envelope.type in self.desk.worker.types:
                    events.append(event)
        return events

    def _unreadable(self, partition: int, offset: int, reason: str) -> None:
        self.note(
            partition,
            f"this version cannot read {self.place(partition)}@{offset} ({reason}), and no dead"
            " letter says that it was given up: run the version that wrote the trail",
        )
