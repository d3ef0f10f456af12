"""Publishing to Kafka: one batch a partition at a time, by an idempotent producer.

aiokafka, when the oldest batch of a partition fails, still sends the later ones. So a partition is
given its next batch only when the one before has its answer. A batch that has none in time is not
given up: the producer goes on trying it, with its sequence number, by which the brokers drop what
they have already (KIP-98); until that is decided, the partition takes nothing else. Otherwise the
late batch could come to stand behind newer ones. A producer that has refused a batch has a hole in
that partition's numbers: it gets no new batches, and goes on with those of other partitions.
"""

import asyncio
import logging
from asyncio import Future
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError
from aiokafka.structs import RecordMetadata

from streams.transport.interface import (
    Message,
    MessageTooLargeError,
    NotAttemptedError,
    Place,
    TransportClosedError,
    TransportError,
    TransportUnavailableError,
)
from streams.transport.kafka.connection import WAIT_S_MAX, Connection, answering

RECORDS_MAX = 500
BATCH_BYTES_MAX = 1_048_576
REQUEST_BYTES_MAX = 10_485_760
STOP_S_MAX = 2.0

_log = logging.getLogger(__name__)

Result = Place | TransportError


@dataclass(slots=True)
class _Partition:
    """One partition's turn, and the batch that has no answer yet."""

    topic: str
    number: int
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    undecided: "Future[RecordMetadata] | None" = None
    producer: AIOKafkaProducer | None = None
    """The one that has the undecided batch."""


class Publisher:
    """Publishes with one producer, which is replaced after a batch that it could not send."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._producer: AIOKafkaProducer | None = None
        self._retired: set[AIOKafkaProducer] = set()
        self._closed = False
        self._starting = asyncio.Lock()
        self._partitions: dict[tuple[str, int], _Partition] = {}

    async def publish(
        self, topic: str, partition: int, messages: Sequence[Message]
    ) -> Sequence[Result]:
        """Append messages of one partition in their order, and give what became of each.

        After the first that failed, the others are not sent. Takes at most twice `WAIT_S_MAX`.
        """
        key = (topic, partition)
        place = self._partitions.setdefault(key, _Partition(topic, partition))
        results: list[Result] = []
        try:
            async with place.turn:
                while len(results) < len(messages):
                    rest = messages[len(results) :]
                    results += await self._publish_batch(place, rest)
        except TransportError as error:
            results.append(error)
            unsent = len(messages) - len(results)
            results += [NotAttemptedError(f"not sent, after: {error}")] * unsent
        return results

    async def close(self) -> None:
        """Send what is being published, within `STOP_S_MAX`, and disconnect."""
        self._closed = True
        producers = {self._producer, *self._retired}
        self._producer = None
        self._retired = set()
        await asyncio.gather(*(_stop(producer) for producer in producers if producer))

    async def _publish_batch(self, place: _Partition, messages: Sequence[Message]) -> list[Place]:
        what = f"publishing to {place.topic}[{place.number}]"
        await self._decide(place, what)
        async with answering(what):
            producer = await self._started()
            batch = producer.create_batch()
            count = 0
            for message in messages[:RECORDS_MAX]:
                if batch.append(
                    key=message.key,
                    value=message.value,
                    timestamp=None,
                    headers=list(message.headers),
                ):
                    count += 1
                else:
                    break
            name = self._connection.topic_name(place.topic)
            try:
                place.undecided = await producer.send_batch(batch, name, partition=place.number)
            except KafkaError:
                self._retire(producer)
                raise
            place.producer = producer
        metadata = await self._decide(place, what)
        if metadata is None:
            raise AssertionError("the batch was undecided until now")
        return [Place(place.topic, place.number, metadata.offset + index) for index in range(count)]

    async def _decide(self, place: _Partition, what: str) -> RecordMetadata | None:
        """Wait until the partition's last batch has its answer; None if it had one."""
        if place.undecided is None:
            return None
        await asyncio.wait({place.undecided}, timeout=WAIT_S_MAX)
        if not place.undecided.done():
            raise TransportUnavailableError(f"{what}: no answer in {WAIT_S_MAX:.0f} s")
        answer, place.undecided = place.undecided, None
        producer, place.producer = place.producer, None
        try:
            return answer.result()
        except MessageSizeTooLargeError as error:
            self._retire(producer)
            raise MessageTooLargeError(f"{what}: {error}") from error
        except (KafkaError, asyncio.CancelledError) as error:
            self._retire(producer)
            raise TransportUnavailableError(f"{what}: {error!r}") from error
        finally:
            await self._stop_idle()

    async def _started(self) -> AIOKafkaProducer:
        async with self._starting:
            self._require_open()
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **self._connection.options(),
                    enable_idempotence=True,
                    acks="all",
                    compression_type="lz4",
                    linger_ms=0,
                    max_batch_size=BATCH_BYTES_MAX,
                    max_request_size=REQUEST_BYTES_MAX,
                )
                try:
                    await producer.start()
                    self._require_open()
                except BaseException:
                    await _stop(producer)
                    raise
                self._producer = producer
            return self._producer

    def _require_open(self) -> None:
        if self._closed:
            raise TransportClosedError("the transport is closed")

    def _retire(self, producer: AIOKafkaProducer | None) -> None:
        """Give a producer no new batches; it is stopped when it has no undecided one either."""
        if producer is not None and not self._closed:
            self._retired.add(producer)
            if self._producer is producer:
                self._producer = None

    async def _stop_idle(self) -> None:
        """Stop the retired producers whose batches are all decided."""
        busy = {place.producer for place in self._partitions.values()}
        idle = self._retired - busy
        self._retired -= idle
        for producer in idle:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer within a bound; its own way waits for brokers that may be away."""
    stopping = asyncio.ensure_future(producer.stop())
    await asyncio.wait({stopping}, timeout=STOP_S_MAX)
    if not stopping.done():
        _log.warning("a producer was cut off before its brokers had answered")
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        await producer.client.close()


def by_partition(numbers: Sequence[tuple[str, int]]) -> dict[tuple[str, int], list[int]]:
    """Group the indexes of messages by where they go, each group in order."""
    groups: dict[tuple[str, int], list[int]] = defaultdict(list)
    for index, place in enumerate(numbers):
        groups[place].append(index)
    return groups
