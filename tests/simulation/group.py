"""A group of workers: who has which partitions, and records as Faust would bring them, or worse."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from streams.effects.faust_app import WATCH_S
from streams.effects.processor import Processor
from streams.effects.retrying import Trouble
from streams.effects.worker import Post, Worker
from streams.transport.interface import Record, TransportError
from tests.simulation.chance import Chance, Fault
from tests.simulation.parts import SETTINGS, Servers
from tests.simulation.process import Life
from tests.simulation.store import open_store

BATCH = 4
POLL_S = 0.5
BACK_MAX = 4


@dataclass(eq=False)
class Member:
    """One worker process in its group."""

    life: Life
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    partitions: frozenset[int] = frozenset()

    def assign(self, partitions: frozenset[int]) -> None:
        """Be given other partitions; what is being done goes on."""
        self.partitions = partitions
        self.wake.set()


@dataclass
class Group:
    """The workers of one kind. `acked` is what Faust would commit; nothing depends on it."""

    servers: Servers
    make: Callable[[Life], Worker]
    topic: str
    chance: Chance
    """For who gets which partition; what a member is given is its process's chance."""
    members: list[Member] = field(default_factory=list)
    acked: dict[int, int] = field(default_factory=dict)

    def share_out(self) -> None:
        """Give each partition to some member, by chance; some may have none."""
        self.members = [member for member in self.members if member.life.alive]
        if not self.members:
            return
        chosen = {
            n: self.chance.random.choice(self.members) for n in range(self.servers.partitions)
        }
        for member in self.members:
            own = frozenset(n for n, owner in chosen.items() if owner is member)
            member.assign(own)

    async def main(self, life: Life) -> None:
        """Run one worker, as `streams.effects.faust_app` does."""
        worker, member = self.make(life), Member(life)
        database = open_store(life, self.servers.store, 4)
        processor = Processor(worker, database, self.servers.log(life), Trouble())
        post = Post(
            settings=SETTINGS,
            database=database,
            trouble=Trouble(processor.trouble.stopping),
            partition_count=self.servers.partitions,
            partitions=lambda: member.partitions,
            wake=member.wake,
        )
        async with asyncio.TaskGroup() as tasks:
            if worker.beside is not None:
                tasks.create_task(_beside(worker, post))
            tasks.create_task(_watch(processor, member))
            self.members.append(member)
            life.closing.append(self.share_out)
            self.share_out()
            await self._feed(processor, member)

    async def _feed(self, processor: Processor, member: Member) -> None:
        log = self.servers.log(member.life)
        while True:
            had = member.partitions
            positions = {
                partition: self._begin(partition, member.life.chance) for partition in sorted(had)
            }
            async with log.tail(self.topic, positions) as tail:
                while member.partitions is had:
                    try:
                        records = await tail.read(BATCH, POLL_S)
                    except TransportError:
                        await asyncio.sleep(POLL_S)
                        break
                    await self._process(processor, member.life.chance, records)
                    if member.life.chance.strikes(Fault.REPEATED):
                        break

    async def _process(
        self, processor: Processor, chance: Chance, records: Sequence[Record]
    ) -> None:
        given = [record for record in records if not chance.strikes(Fault.SKIPPED)]
        if given:
            await processor.process(given)
        for record in records:
            self.acked[record.partition] = record.offset + 1

    def _begin(self, partition: int, chance: Chance) -> int:
        """Begin where the last one has acknowledged, or before."""
        acked = self.acked.get(partition, 0)
        if chance.strikes(Fault.REPEATED):
            return max(0, acked - chance.random.randrange(BACK_MAX + 1))
        return acked


async def _beside(worker: Worker, post: Post) -> None:
    if worker.beside is not None:
        await worker.beside(post)


async def _watch(processor: Processor, member: Member) -> None:
    while True:
        await processor.catch_up(sorted(member.partitions))
        await asyncio.sleep(WATCH_S)
