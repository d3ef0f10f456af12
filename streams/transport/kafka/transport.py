"""The transport over Kafka, put together from its publisher, its readers and its lookups."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.partitions import partition_of
from schemas.settings import Settings
from schemas.topics import Topic
from streams.transport.interface import (
    Extent,
    Message,
    MessageTooLargeError,
    Place,
    Subscription,
    Tail,
    TopicState,
    TransportClosedError,
    TransportError,
    TransportUnavailableError,
)
from streams.transport.kafka.connection import Connection, answering
from streams.transport.kafka.lookup import Lookup
from streams.transport.kafka.publisher import Publisher, Result, by_partition
from streams.transport.kafka.readers import READ_OPTIONS, KafkaReader, start_consumer
from streams.transport.kafka.topics import Topics


class KafkaTransport:
    """See `streams.transport.interface.Transport`, which says what this promises."""

    def __init__(self, settings: Settings) -> None:
        settings.required_bootstrap_servers()
        self._connection = Connection(settings)
        self._topics = Topics(self._connection)
        self._lookup = Lookup(self._connection)
        self._publisher = Publisher(self._connection)
        self._readers: set[KafkaReader] = set()
        self._closed = False

    async def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Create those that do not exist, give their names, and leave the others as they are."""
        self._require_open()
        return await self._topics.create(topics)

    async def describe_topics(self, topics: Sequence[Topic]) -> Mapping[str, TopicState]:
        """Give what those are that exist, by name."""
        self._require_open()
        return await self._topics.describe(topics)

    async def alter_topics(self, topics: Sequence[Topic]) -> None:
        """Give topics the settings of the table, and leave the rest of them as it is."""
        self._require_open()
        await self._topics.alter(topics)

    async def clock_skew_s(self) -> float | None:
        """Give how far the log's clock is ahead of this process's."""
        self._require_open()
        return await self._topics.clock_skew_s()

    async def publish(self, message: Message) -> Place:
        """Append one message, or raise."""
        (result,) = await self.publish_many([message])
        if isinstance(result, TransportError):
            raise result
        return result

    async def publish_many(self, messages: Sequence[Message]) -> Sequence[Result]:
        """Append many, partitions side by side; give each message's place or error, in order."""
        self._require_open()
        results: list[Result] = [TransportUnavailableError("not published")] * len(messages)
        places = [(message.topic, await self._partition(message)) for message in messages]
        groups = by_partition(places)
        answers = await asyncio.gather(
            *(
                self._publish_group(topic, number, [messages[index] for index in indexes])
                for (topic, number), indexes in groups.items()
            )
        )
        for indexes, group in zip(groups.values(), answers, strict=True):
            for index, result in zip(indexes, group, strict=True):
                results[index] = result
        return results

    @asynccontextmanager
    async def subscribe(self, topic: str, group: str) -> AsyncIterator[Subscription]:
        """Join a group; leaving the context gives the partitions to the others at once."""
        self._require_open()
        await self._topics.partitions(topic)
        consumer = AIOKafkaConsumer(
            self._connection.topic_name(topic),
            **self._connection.options(),
            **READ_OPTIONS,
            group_id=self._connection.prefix + group,
            auto_offset_reset="earliest",
        )
        async with self._reading(topic, consumer) as reader:
            yield reader

    @asynccontextmanager
    async def tail(self, topic: str, positions: Mapping[int, int]) -> AsyncIterator[Tail]:
        """Read these partitions, each from its offset on."""
        self._require_open()
        await self._topics.partitions(topic)
        consumer = AIOKafkaConsumer(
            **self._connection.options(), **READ_OPTIONS, group_id=None, auto_offset_reset="none"
        )
        name = self._connection.topic_name(topic)
        async with self._reading(topic, consumer) as reader:
            consumer.assign([TopicPartition(name, number) for number in positions])
            for number, offset in positions.items():
                consumer.seek(TopicPartition(name, number), offset)
            yield reader

    async def extents(self, topic: str) -> Mapping[int, Extent]:
        """Give the extent of every partition."""
        self._require_open()
        return await self._lookup.extents(topic, await self._topics.partitions(topic))

    async def offsets_since(self, topic: str, at_ms: int) -> Mapping[int, int]:
        """Give, of each partition, the first offset written since an instant, or its end."""
        self._require_open()
        partitions = await self._topics.partitions(topic)
        return await self._lookup.offsets_since(topic, partitions, at_ms)

    async def check(self) -> None:
        """Return if the log answers now; raise `TransportUnavailableError` if it does not."""
        self._require_open()
        await self._lookup.check()

    async def aclose(self) -> None:
        """Close, as the interface says."""
        self._closed = True
        readers = tuple(self._readers)
        closing = [self._publisher.close(), self._lookup.close(), *(r.close() for r in readers)]
        await asyncio.gather(*closing)

    @asynccontextmanager
    async def _reading(self, topic: str, consumer: AIOKafkaConsumer) -> AsyncIterator[KafkaReader]:
        async with answering(f"beginning to read {topic}"):
            await start_consumer(consumer)
        reader = KafkaReader(self._connection, topic, consumer)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
            await reader.close()

    async def _publish_group(
        self, topic: str, number: int, messages: Sequence[Message]
    ) -> Sequence[Result]:
        """Publish one partition's messages; those that are too large fail alone."""
        limit = self._topics.message_bytes_max(topic)
        too_large = {
            index: MessageTooLargeError(f"a message to {topic} has over {limit} bytes")
            for index, message in enumerate(messages)
            if _size(message) > limit
        }
        rest = [message for index, message in enumerate(messages) if index not in too_large]
        sent = iter(await self._publisher.publish(topic, number, rest))
        return [
            too_large[index] if index in too_large else next(sent) for index in range(len(messages))
        ]

    async def _partition(self, message: Message) -> int:
        count = await self._topics.partitions(message.topic)
        return partition_of(message.key, count) if message.partition is None else message.partition

    def _require_open(self) -> None:
        if self._closed:
            raise TransportClosedError("the transport is closed")


def _size(message: Message) -> int:
    headers = sum(len(name) + len(value) for name, value in message.headers)
    return len(message.key) + len(message.value) + headers
