"""Reading from Kafka: members of a group, and tails without one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka import errors as kafka
from aiokafka.structs import OffsetAndMetadata

from streams.transport.interface import (
    OffsetOutOfRangeError,
    Record,
    TransportClosedError,
    TransportUnavailableError,
)
from streams.transport.kafka.connection import Connection, answering

PARTITION_BYTES_MAX = 1_048_576
FETCH_BYTES_MAX = 8_388_608
"""What is fetched ahead at most; a larger single message is fetched all the same (KIP-74)."""
FETCH_WAIT_MS = 500
"""A fetch comes back as soon as there is a record, and after this without one."""
READ_OPTIONS = {
    "max_partition_fetch_bytes": PARTITION_BYTES_MAX,
    "fetch_max_bytes": FETCH_BYTES_MAX,
    "fetch_max_wait_ms": FETCH_WAIT_MS,
    "enable_auto_commit": False,
}


async def start_consumer(consumer: AIOKafkaConsumer) -> None:
    """Connect a consumer, or leave nothing of it behind."""
    try:
        await consumer.start()
        # A task of its own that has not begun yet makes its `stop` raise CancelledError
        # (aiokafka 0.14, NoGroupCoordinator.close).
        await asyncio.sleep(0)
    except BaseException:
        await consumer.stop()
        raise


@dataclass(slots=True, eq=False)
class KafkaReader:
    """A consumer that was started: a tail, or a member of a group."""

    connection: Connection
    topic: str
    consumer: AIOKafkaConsumer
    _closed: bool = False

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        """Give the next records, or none when the time is over."""
        try:
            pages = await self.consumer.getmany(
                timeout_ms=int(timeout_s * 1000), max_records=records_max
            )
        except kafka.OffsetOutOfRangeError as error:
            raise OffsetOutOfRangeError(f"{self.topic}: {error}") from error
        except kafka.ConsumerStoppedError as error:
            raise TransportClosedError(f"the reader of {self.topic} was closed") from error
        except kafka.KafkaError as error:
            raise TransportUnavailableError(f"reading {self.topic}: {error!r}") from error
        if self._closed:
            raise TransportClosedError(f"the reader of {self.topic} was closed")
        return [self._record(record) for page in pages.values() for record in page]

    async def commit(self, records: Sequence[Record]) -> None:
        """Move the group behind these records."""
        name = self.connection.topic_name(self.topic)
        offsets = {
            TopicPartition(name, record.partition): OffsetAndMetadata(record.offset + 1, "")
            for record in records
        }
        async with answering(f"committing in {self.topic}"):
            await self.consumer.commit(offsets)

    async def close(self) -> None:
        """Stop reading; a member leaves its group at once."""
        self._closed = True
        await self.consumer.stop()

    def _record(self, record: ConsumerRecord[bytes, bytes]) -> Record:
        return Record(
            topic=self.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
            timestamp_ms=record.timestamp,
        )
