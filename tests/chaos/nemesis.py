"""What goes wrong in a campaign: processes are killed, or stopped and woken, at random moments."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

import psutil

from tests.servers import Servers
from tests.stack import Stack
from tests.waiting import eventually

RESTART_S_MAX = 10.0

Fault = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Nemesis:
    """Faults for a stack and the servers below it."""

    stack: Stack
    servers: Servers

    def kill(self, name: str) -> Fault:
        """Kill one of the processes with -9; its supervisor starts it again."""

        async def fault() -> None:
            child = self.stack.children[name]
            before = child.starts
            child.kill()

            async def runs_again() -> bool:
                return child.starts > before

            await eventually(runs_again, RESTART_S_MAX, f"{name} runs again")

        return fault

    def restart_broker(self, down_s: float = 0.0) -> Fault:
        """Kill the broker with -9 and start it again on its port."""

        async def fault() -> None:
            await asyncio.to_thread(self.servers.kafka.kill)
            await asyncio.sleep(down_s)
            await asyncio.to_thread(self.servers.kafka.start)

        return fault

    def restart_database(self) -> Fault:
        """Kill the database with -9 and start it again on its port."""

        async def fault() -> None:
            await asyncio.to_thread(self.servers.postgres.kill)
            await asyncio.to_thread(self.servers.postgres.start)

        return fault

    def stop_process(self, name: str, asleep_s: float) -> Fault:
        """Stop one of the processes with SIGSTOP, and wake it later."""
        return self._stop(lambda: self.stack.children[name].pid, asleep_s)

    def stop_leader(self, asleep_s: float) -> Fault:
        """Stop the relay that leads just then, and wake it later."""

        async def fault() -> None:
            relays = [name for name in self.stack.children if name.startswith("relay")]
            leaders = [name for name in relays if await self.stack.children[name].leads()]
            assert leaders, f"none of {relays} leads"
            await self.stop_process(leaders[0], asleep_s)()

        return fault

    def stop_broker(self, asleep_s: float) -> Fault:
        """Stop the broker with SIGSTOP, and wake it later."""
        return self._stop(lambda: self.servers.kafka.pid, asleep_s)

    @staticmethod
    def _stop(pid: Callable[[], int], asleep_s: float) -> Fault:
        return lambda: stop_for(pid(), asleep_s)


async def stop_for(pid: int, asleep_s: float) -> None:
    """Stop a process and all that it started with SIGSTOP, and wake them later."""
    root = psutil.Process(pid)
    stopped = [root, *root.children(recursive=True)]
    for process in stopped:
        with suppress(psutil.Error):
            process.suspend()
    try:
        await asyncio.sleep(asleep_s)
    finally:
        for process in stopped:
            with suppress(psutil.Error):
                process.resume()


async def strike(faults: Sequence[Fault], within_s: float, seed: int) -> None:
    """Let each fault happen at a random moment of the load, one after another."""
    dice, began_at = random.Random(seed), monotonic()
    shuffled = dice.sample(list(faults), len(faults))
    moments_s = sorted(dice.uniform(0.05, 0.75) * within_s for _ in faults)
    for fault, moment_s in zip(shuffled, moments_s, strict=True):
        await asyncio.sleep(max(0.0, began_at + moment_s - monotonic()))
        await fault()
