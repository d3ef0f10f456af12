"""The transport in one process: for tests, and for a TaskFlow that runs in a single process.

It keeps the interface's promises for as long as the process lives, and forgets with it.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from schemas.partitions import partition_of
from schemas.settings import Settings
from schemas.topics import Topic
from streams.transport.interface import (
    Extent,
    Message,
    MessageTooLargeError,
    OffsetOutOfRangeError,
    Place,
    Record,
    Subscription,
    Tail,
    TopicState,
    TransportClosedError,
    TransportError,
    UnknownTopicError,
)

RECORDS_KEPT = 100_000
"""Of each partition; older ones are dropped, as retention drops them in Kafka."""


@dataclass(slots=True)
class _Partition:
    """A log: `records[0]` has the offset `start`."""

    start: int = 0
    records: deque[Record] = field(default_factory=deque)

    @property
    def end(self) -> int:
        return self.start + len(self.records)

    def append(self, record: Record) -> None:
        self.records.append(record)
        if len(self.records) > RECORDS_KEPT:
            self.records.popleft()
            self.start += 1

    def page(self, offset: int, count: int) -> list[Record]:
        first = offset - self.start
        return [
            self.records[index] for index in range(first, min(first + count, len(self.records)))
        ]


@dataclass(slots=True)
class _Group:
    """The members of a group in a topic, and how far it has committed."""

    members: list["_Member"] = field(default_factory=list)
    committed: dict[int, int] = field(default_factory=dict)


class MemoryTransport:
    """See `streams.transport.interface.Transport`, which says what this promises."""

    def __init__(self, settings: Settings) -> None:
        self._partitions = settings.kafka_partitions
        self._topics: dict[str, tuple[Topic, list[_Partition]]] = {}
        self._groups: dict[tuple[str, str], _Group] = {}
        self._changed = asyncio.Condition()
        self._closed = False

    async def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Create those that do not exist, give their names, and leave the others as they are."""
        self._require_open()
        created = [topic for topic in topics if topic.name not in self._topics]
        for topic in created:
            self._topics[topic.name] = topic, [_Partition() for _ in range(self._partitions)]
        return [topic.name for topic in created]

    async def describe_topics(self, topics: Sequence[Topic]) -> Mapping[str, TopicState]:
        """Give what those are that exist, by name."""
        self._require_open()
        return {
            name: TopicState(len(partitions), 1, topic.configs(1))
            for name, (topic, partitions) in self._topics.items()
            if name in {wanted.name for wanted in topics}
        }

    async def alter_topics(self, topics: Sequence[Topic]) -> None:
        """Give topics the settings of the table, and leave their records."""
        self._require_open()
        for topic in topics:
            self._topics[topic.name] = topic, self._topic(topic.name)[1]

    async def clock_skew_s(self) -> float | None:
        """Give 0: it is this process's clock."""
        self._require_open()
        return 0.0

    async def publish(self, message: Message) -> Place:
        """Append one message, or raise."""
        (result,) = await self.publish_many([message])
        if isinstance(result, TransportError):
            raise result
        return result

    async def publish_many(self, messages: Sequence[Message]) -> Sequence[Place | TransportError]:
        """Append many; give each message's place or error, in order."""
        self._require_open()
        for message in messages:
            self._topic(message.topic)
        results = [self._append(message) for message in messages]
        async with self._changed:
            self._changed.notify_all()
        return results

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str) -> AsyncIterator[Subscription]:
        """Join a group; leaving the context gives the partitions to the others at once."""
        self._require_open()
        self._topic(topic)
        known = self._groups.setdefault((topic, group), _Group())
        member = _Member(self, topic, known)
        known.members.append(member)
        _share(known, self._partitions)
        try:
            yield member
        finally:
            known.members.remove(member)
            _share(known, self._partitions)
            async with self._changed:
                self._changed.notify_all()

    @asynccontextmanager
    async def tail(self, topic: str, positions: Mapping[int, int]) -> AsyncIterator[Tail]:
        """Read these partitions, each from its offset on."""
        self._require_open()
        self._topic(topic)
        yield _Reader(self, topic, dict(positions))

    async def extents(self, topic: str) -> Mapping[int, Extent]:
        """Give the extent of every partition."""
        self._require_open()
        _, partitions = self._topic(topic)
        return {number: Extent(log.start, log.end) for number, log in enumerate(partitions)}

    async def offsets_since(self, topic: str, at_ms: int) -> Mapping[int, int]:
        """Give, of each partition, the first offset written at an instant or later."""
        self._require_open()
        _, partitions = self._topic(topic)
        return {
            number: next(
                (record.offset for record in log.records if record.timestamp_ms >= at_ms), log.end
            )
            for number, log in enumerate(partitions)
        }

    async def check(self) -> None:
        """Return: a log in memory is always there."""
        self._require_open()

    async def aclose(self) -> None:
        """Close, as the interface says."""
        self._closed = True
        async with self._changed:
            self._changed.notify_all()

    async def wait_for(self, take: Callable[[], list[Record]], timeout_s: float) -> list[Record]:
        """Give what `take` gives as soon as it gives anything, or nothing when time is over."""
        async with self._changed:
            try:
                async with asyncio.timeout(timeout_s):
                    while True:
                        self._require_open()
                        if records := take():
                            return records
                        await self._changed.wait()
            except TimeoutError:
                return []

    def take(self, topic: str, positions: dict[int, int], count: int) -> list[Record]:
        """Give the next records of some partitions, and move the positions behind them."""
        _, partitions = self._topic(topic)
        found: list[Record] = []
        for number, offset in positions.items():
            log = partitions[number]
            if not log.start <= offset <= log.end:
                raise OffsetOutOfRangeError(f"{topic}[{number}] has no offset {offset}")
            page = log.page(offset, count - len(found))
            positions[number] = offset + len(page)
            found += page
        return found

    def start_of(self, topic: str, partition: int) -> int:
        """Give the oldest offset of a partition."""
        return self._topic(topic)[1][partition].start

    def _append(self, message: Message) -> Place | TransportError:
        topic, partitions = self._topic(message.topic)
        headers = sum(len(name) + len(value) for name, value in message.headers)
        if len(message.key) + len(message.value) + headers > topic.message_bytes_max:
            return MessageTooLargeError(f"over {topic.message_bytes_max} bytes for {topic.name}")
        number = message.partition
        if number is None:
            number = partition_of(message.key, len(partitions))
        place = Place(topic.name, number, partitions[number].end)
        partitions[number].append(
            Record(
                place.topic,
                number,
                place.offset,
                message.key,
                message.value,
                message.headers,
                time.time_ns() // 1_000_000,
            )
        )
        return place

    def _topic(self, name: str) -> tuple[Topic, list[_Partition]]:
        if name not in self._topics:
            raise UnknownTopicError(f"there is no topic {name}: run `taskflow topics`")
        return self._topics[name]

    def _require_open(self) -> None:
        if self._closed:
            raise TransportClosedError("the transport is closed")


@dataclass(slots=True, eq=False)
class _Reader:
    """A reader with positions of its own."""

    transport: MemoryTransport
    topic: str
    positions: dict[int, int]

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        def take() -> list[Record]:
            return self.transport.take(self.topic, self.positions, records_max)

        return await self.transport.wait_for(take, timeout_s)


@dataclass(slots=True, eq=False)
class _Member:
    """A member of a group; its positions change when members come and go."""

    transport: MemoryTransport
    topic: str
    group: _Group
    positions: dict[int, int] = field(default_factory=dict)

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        def take() -> list[Record]:
            return self.transport.take(self.topic, self.positions, records_max)

        return await self.transport.wait_for(take, timeout_s)

    async def commit(self, records: Sequence[Record]) -> None:
        for record in records:
            self.group.committed[record.partition] = record.offset + 1


def _share(group: _Group, partitions: int) -> None:
    """Give each partition to one member, which begins at what the group has committed."""
    for member in group.members:
        member.positions.clear()
    for number in range(partitions if group.members else 0):
        member = group.members[number % len(group.members)]
        begin = group.committed.get(number)
        oldest = member.transport.start_of(member.topic, number)
        member.positions[number] = oldest if begin is None else max(begin, oldest)
