"""The nemesis: every kind of fault by its name, and what it does to a world."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from time import monotonic

from schemas.topics import TASK_EVENTS, TASK_UPDATES, Topic
from streams.transport.interface import Message, Place, TransportError
from tests.campaign.history import History
from tests.campaign.proxy import Proxy
from tests.campaign.world import PROCESSES, World
from tests.chaos.nemesis import stop_for
from tests.waiting import eventually

ASLEEP_S = 12.0
"""Longer than a worker's session with the broker, the relay's lease, a transaction's idle time."""
BROKEN_S = 8.0
STOP_S_MAX = 10.0
RESTART_S_MAX = 30.0
STORM_TURNS = 4
BALLAST_BYTES = 16 * 1_048_576

Fault = Callable[[], Awaitable[None]]

_POISON = b'{"specversion": '
_SLEEPERS = ("api", "gateway", "relay-1", "relay-2", "audit-1", "recurrence-1", "reminders-1")


@dataclass(frozen=True, slots=True)
class Nemesis:
    """What can go wrong in a world; each fault returns when it is over."""

    world: World
    history: History
    dice: random.Random

    def kinds(self) -> Mapping[str, Fault]:
        """Give every fault by its name."""
        found: dict[str, Fault] = {
            "kill broker": self.kill_broker,
            "kill database": self.kill_database,
            "stop broker": lambda: stop_for(self.world.servers.kafka.pid, ASLEEP_S),
            "stop database": lambda: stop_for(self.world.servers.postgres.pid, ASLEEP_S),
            "rebalance storm": self.storm,
            "repeat out of order": self.repeat,
            "poison": self.poison,
        }
        for name in PROCESSES:
            found[f"kill {name}"] = partial(self.kill, name)
            found[f"restart {name}"] = partial(self.restart, name)
        for name in _SLEEPERS:
            found[f"stop {name}"] = partial(self.stop, name)
        for name, proxy in self._proxies().items():
            found[f"slow {name}"] = partial(self.slow, proxy)
            found[f"silent {name}"] = partial(self.silence, proxy)
            found[f"cut {name}"] = partial(self.cut, proxy)
        if self.world.disk is not None:
            found["full disk"] = self.fill_disk
        return found

    def _proxies(self) -> Mapping[str, Proxy]:
        return {"database": self.world.database_proxy, "broker": self.world.broker_proxy}

    async def kill(self, name: str) -> None:
        """Kill a process with -9; its supervisor starts it again."""
        await self._end(name, signal.SIGKILL)

    async def restart(self, name: str) -> None:
        """Ask a process to end, which it must do in time and in good order."""
        began_at = monotonic()
        await self._end(name, signal.SIGTERM)
        code, took_s = self.world.stack.children[name].exits[-1], monotonic() - began_at
        if code != 0 or took_s > STOP_S_MAX:
            self.history.odd.append(f"SIGTERM: {name} ended with {code} after {took_s:.1f} s")

    async def _end(self, name: str, number: signal.Signals) -> None:
        child = self.world.stack.children[name]
        before = child.starts
        with suppress(ProcessLookupError):
            child.send(number)

        async def runs_again() -> bool:
            return child.starts > before

        await eventually(runs_again, RESTART_S_MAX, f"{name} runs again")

    async def stop(self, name: str) -> None:
        """Stop a process, and wake it when others have taken its place."""
        await stop_for(self.world.stack.children[name].pid, ASLEEP_S)

    async def kill_broker(self) -> None:
        """Kill the broker with -9, and start it again some seconds later."""
        await asyncio.to_thread(self.world.servers.kafka.kill)
        await asyncio.sleep(self.dice.uniform(0, 4))
        await asyncio.to_thread(self.world.servers.kafka.start)

    async def kill_database(self) -> None:
        """Kill the database with -9, and start it again some seconds later."""
        await asyncio.to_thread(self.world.servers.postgres.kill)
        await asyncio.sleep(self.dice.uniform(0, 4))
        await asyncio.to_thread(self.world.servers.postgres.start)

    async def slow(self, proxy: Proxy) -> None:
        """Let everything through a proxy take its time."""
        proxy.delay_s = 0.15
        await self._until_healed(proxy)

    async def silence(self, proxy: Proxy) -> None:
        """Let nothing through a proxy, and tell nobody."""
        proxy.silence(on=True)
        await self._until_healed(proxy)

    @staticmethod
    async def _until_healed(proxy: Proxy) -> None:
        try:
            await asyncio.sleep(BROKEN_S)
        finally:
            proxy.heal()

    async def cut(self, proxy: Proxy) -> None:
        """Break all connections again and again; now and then nobody gets a new one."""
        try:
            for _ in range(8):
                proxy.refuses = self.dice.random() < 0.5
                proxy.cut()
                await asyncio.sleep(BROKEN_S / 8)
        finally:
            proxy.heal()

    async def storm(self) -> None:
        """Let the groups share out their partitions again before they have done so."""
        for _ in range(STORM_TURNS):
            for app in ("audit", "recurrence", "reminders"):
                child = self.world.stack.children[f"{app}-{self.dice.choice([1, 2])}"]
                with suppress(ProcessLookupError):
                    child.send(self.dice.choice([signal.SIGKILL, signal.SIGTERM]))
            await asyncio.sleep(self.dice.uniform(1, 3))

    async def repeat(self) -> None:
        """Publish records again, out of order, as a relay does that was put down and woke up."""
        for topic in (TASK_EVENTS, TASK_UPDATES):
            with suppress(TransportError):
                await self._repeat(topic)

    async def _repeat(self, topic: Topic) -> None:
        stale = (("content-type", b"application/cloudevents+json"), ("epoch", b"0"))
        for partition, extent in (await self.world.transport.extents(topic.name)).items():
            begin = max(extent.start, extent.end - self.dice.randint(1, 300))
            if begin == extent.end:
                continue
            async with self.world.transport.tail(topic.name, {partition: begin}) as tail:
                found = await tail.read(self.dice.randint(1, 40), 5)
            again = [
                Message(record.topic, record.key or b"", record.value or b"", stale, partition)
                for record in self.dice.sample(found, len(found))
                if record.value != _POISON
            ]
            await self.world.transport.publish_many(again)

    async def poison(self) -> None:
        """Put messages into the log that no worker can process."""
        users = [heard.user_id for heard in self.history.heard]
        messages = [
            Message(TASK_EVENTS.name, str(self.dice.choice(users)).encode(), _POISON)
            for _ in range(20)
        ]
        results = await self.world.transport.publish_many(messages)
        self.history.poison += sum(isinstance(result, Place) for result in results)

    async def fill_disk(self) -> None:
        """Leave no room on the servers' disk for a while; what ended of it is started again."""
        assert self.world.disk is not None
        ballast = self.world.disk / "ballast"
        try:
            await asyncio.to_thread(fill, str(ballast))
            await asyncio.sleep(BROKEN_S)
        finally:
            ballast.unlink(missing_ok=True)
        for server in (self.world.servers.postgres, self.world.servers.kafka):
            # One that is about to end is given the time to do so.
            await asyncio.sleep(1)
            if not server.is_alive:
                await asyncio.to_thread(server.start)


def fill(path: str) -> None:
    """Write a file until its file system takes no more."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    size = BALLAST_BYTES
    try:
        while size >= 4_096:
            try:
                os.write(descriptor, bytes(size))
            except OSError:
                size //= 2
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Plan:
    """The order of the faults: each kind once before any comes again, as the seed has it."""

    names: Sequence[str]
    dice: random.Random
    _left: list[str]

    @classmethod
    def of(cls, names: Sequence[str], seed: int) -> "Plan":
        """Begin a plan."""
        return cls(sorted(names), random.Random(f"plan/{seed}"), [])

    def next(self) -> Sequence[str]:
        """Give what happens next: mostly one fault, sometimes two at once."""
        if len(self._left) < 2:
            self._left = [*self._left, *self.dice.sample(list(self.names), len(self.names))]
        count = 2 if self.dice.random() < 0.25 else 1
        taken, self._left = self._left[:count], self._left[count:]
        return taken
