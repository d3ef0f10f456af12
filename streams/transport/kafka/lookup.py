"""What each partition holds, and whether the brokers answer at all."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.transport.interface import Extent
from streams.transport.kafka.connection import Connection, answering
from streams.transport.kafka.readers import start_consumer


@dataclass(slots=True)
class Lookup:
    """Asks with one connection, which is made when it is first needed and kept."""

    connection: Connection
    _client: AIOKafkaConsumer | None = None
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def extents(self, topic: str, partitions: int) -> Mapping[int, Extent]:
        """Give what each partition of a topic holds now."""
        name = self.connection.topic_name(topic)
        places = [TopicPartition(name, number) for number in range(partitions)]
        async with self._turn, answering(f"looking up {topic}"):
            client = await self._started()
            starts = await client.beginning_offsets(places)
            ends = await client.end_offsets(places)
        return {place.partition: Extent(starts[place], ends[place]) for place in places}

    async def offsets_since(self, topic: str, partitions: int, at_ms: int) -> Mapping[int, int]:
        """Give the first offset of each partition that was written at an instant or later."""
        name = self.connection.topic_name(topic)
        places = [TopicPartition(name, number) for number in range(partitions)]
        async with self._turn, answering(f"looking up {topic}"):
            client = await self._started()
            found = await client.offsets_for_times(dict.fromkeys(places, at_ms))
            ends = await client.end_offsets(places)
        return {
            place.partition: at.offset if (at := found.get(place)) else ends[place]
            for place in places
        }

    async def check(self) -> None:
        """Return if a broker answers."""
        async with self._turn, answering("the brokers"):
            await (await self._started()).topics()

    async def close(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.stop()

    async def _started(self) -> AIOKafkaConsumer:
        if self._client is None:
            client = AIOKafkaConsumer(**self.connection.options(), group_id=None)
            await start_consumer(client)
            self._client = client
        return self._client
