"""The door to the log, as one process has it: the log in memory, behind an unreliable way."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from schemas.partitions import partition_of
from schemas.topics import Topic
from streams.transport.interface import (
    Extent,
    Message,
    NotAttemptedError,
    Place,
    Record,
    Subscription,
    Tail,
    TopicState,
    TransportError,
    TransportUnavailableError,
)
from streams.transport.memory import MemoryTransport
from tests.simulation.chance import Fault
from tests.simulation.process import Life

LATE_S_MAX = 3.0
"""How long after its error a batch may still reach the log."""

Result = Place | TransportError


@dataclass(frozen=True)
class SimulatedLog:
    """See `streams.transport.interface.Transport`; nothing here is promised that is not there."""

    life: Life
    memory: MemoryTransport
    partitions: int

    async def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        return await self.memory.create_topics(topics)

    async def describe_topics(self, topics: Sequence[Topic]) -> Mapping[str, TopicState]:
        return await self.memory.describe_topics(topics)

    async def alter_topics(self, topics: Sequence[Topic]) -> None:
        await self.memory.alter_topics(topics)

    async def clock_skew_s(self) -> float | None:
        return await self.memory.clock_skew_s()

    async def publish(self, message: Message) -> Place:
        (result,) = await self.publish_many([message])
        if isinstance(result, TransportError):
            raise result
        return result

    async def publish_many(self, messages: Sequence[Message]) -> Sequence[Result]:
        await self.life.turn("publish")
        chance = self.life.chance
        if chance.strikes(Fault.LATE):
            return await self._publish_part(messages)
        results = await self.memory.publish_many(messages)
        self.life.stage.note(self.life.name, f"publishes {_places(results)}")
        if chance.strikes(Fault.UNANSWERED):
            results = [TransportUnavailableError("published, and not answered") for _ in results]
        await self.life.turn("the answer to publish")
        return results

    async def _publish_part(self, messages: Sequence[Message]) -> Sequence[Result]:
        """Publish the first of each partition; of the next ones the outcome is unknown."""
        chance, by_partition = self.life.chance, self._by_partition(messages)
        results: dict[int, Result] = {}
        for numbers in by_partition.values():
            taken = chance.random.randrange(len(numbers) + 1)
            done = await self.memory.publish_many([messages[number] for number in numbers[:taken]])
            results |= dict(zip(numbers[:taken], done, strict=True))
            for number in numbers[taken : taken + 1]:
                results[number] = TransportUnavailableError("not answered in time")
                if chance.random.random() < 0.5:
                    self._publish_later(messages[number], chance.between(0, LATE_S_MAX))
            for number in numbers[taken + 1 :]:
                results[number] = NotAttemptedError("after one that failed")
        told = [results[number] for number in range(len(messages))]
        self.life.stage.note(self.life.name, f"publishes a part {_places(told)}")
        await self.life.turn("the answer to publish")
        return told

    def _by_partition(self, messages: Sequence[Message]) -> Mapping[tuple[str, int], list[int]]:
        found: dict[tuple[str, int], list[int]] = {}
        for number, message in enumerate(messages):
            partition = partition_of(message.key, self.partitions)
            found.setdefault((message.topic, partition), []).append(number)
        return found

    def _publish_later(self, message: Message, wait_s: float) -> None:
        async def later() -> None:
            await asyncio.sleep(wait_s)
            place = await self.memory.publish(message)
            self.life.stage.note(self.life.name, f"has published late {_places([place])}")

        # The client of the log sends it, so it goes with the process.
        self.life.spawn(later())

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str) -> AsyncIterator[Subscription]:
        async with self.memory.subscribe(topic, group) as subscription:
            yield subscription

    @asynccontextmanager
    async def tail(self, topic: str, positions: Mapping[int, int]) -> AsyncIterator[Tail]:
        async with self.memory.tail(topic, positions) as tail:
            yield SimulatedTail(self.life, tail, topic)

    async def extents(self, topic: str) -> Mapping[int, Extent]:
        await self._ask(f"extents of {topic}")
        extents = await self.memory.extents(topic)
        await self.life.turn(f"the extents of {topic}")
        return extents

    async def offsets_since(self, topic: str, at_ms: int) -> Mapping[int, int]:
        await self._ask(f"offsets of {topic}")
        return await self.memory.offsets_since(topic, at_ms)

    async def check(self) -> None:
        await self._ask("check of the log")

    async def aclose(self) -> None:
        """Leave the log as it is: the others go on with it."""

    async def _ask(self, what: str) -> None:
        await self.life.turn(what)
        refuse(self.life, what)


@dataclass(frozen=True)
class SimulatedTail:
    """A reader; what it has read may be late, and it may fail."""

    life: Life
    tail: Tail
    topic: str

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        refuse(self.life, f"reading {self.topic}")
        records = await self.tail.read(records_max, timeout_s)
        if records:
            places = ", ".join(f"{record.partition}@{record.offset}" for record in records)
            self.life.stage.note(self.life.name, f"reads {self.topic} {places}")
            await self.life.turn(f"what was read of {self.topic}")
        self.life.require_alive()
        return records


def refuse(life: Life, what: str) -> None:
    """Raise an error here, if chance has it."""
    if life.chance.strikes(Fault.REFUSED):
        life.stage.note(life.name, f"{what} is refused")
        raise TransportUnavailableError("on request of chance")


def _places(results: Sequence[Result]) -> str:
    return ", ".join(
        f"{result.topic}[{result.partition}]@{result.offset}"
        if isinstance(result, Place)
        else type(result).__name__
        for result in results
    )
