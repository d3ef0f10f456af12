"""One campaign: a load, faults at random moments of it, and the ending that must follow."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from streams.store.database import Database
from streams.transport.interface import Transport
from tests.chaos.ending import Ending, backlog, check_ending
from tests.chaos.nemesis import Fault, Nemesis, strike
from tests.chaos.workload import Workload
from tests.servers import Servers
from tests.stack import Stack
from tests.waiting import eventually

DRAIN_S_MAX = 90.0


@dataclass(frozen=True, slots=True)
class Campaign:
    """What a campaign runs on; the stack's children are chosen before it is started."""

    stack: Stack
    servers: Servers
    database: Database
    transport: Transport

    @property
    def nemesis(self) -> Nemesis:
        """The faults that can be asked for."""
        return Nemesis(self.stack, self.servers)

    def load(self, creates: int, seed: int) -> Workload:
        """Give a load of 20 users over 8 connections, about 100 writes a second."""
        url = self.stack.api_url
        return Workload(url, users=20, creates=creates, connections=8, pause_s=0.08, seed=seed)

    async def run(self, load: Workload, faults: Sequence[Fault]) -> Ending:
        """Run the load with the faults within it, wait until all has drained, and check."""
        await load.register()
        within_s = load.creates / load.connections * load.pause_s
        await asyncio.gather(load.run(), strike(faults, within_s, load.seed))
        return await self.end(load)

    async def end(self, load: Workload) -> Ending:
        """Wait until all has drained, check it, and print the counts."""

        async def drained() -> bool:
            return (await backlog(self.database)).is_empty

        try:
            await eventually(drained, DRAIN_S_MAX, "everything has drained")
        except AssertionError:
            print(await backlog(self.database))
            raise
        ending = await check_ending(self.database, self.transport, load)
        starts = {name: child.starts for name, child in self.stack.children.items()}
        print(
            f"\nseed {load.seed}: {ending}; unknown {load.unknown}, 503 {load.refused_503};"
            f" slowest answer {load.longest_s:.2f} s; starts {starts}"
        )
        return ending
