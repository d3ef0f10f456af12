"""An outbox that tests write to, a log in memory that fails on request, and what must be in it."""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from schemas.ids import new_id
from schemas.partitions import partition_of
from schemas.settings import Settings, TransportKind
from schemas.topics import TOPICS
from streams.relay.leadership import Leadership
from streams.relay.shipping import Shipping
from streams.store.database import Database, Session
from streams.transport.interface import (
    Message,
    NotAttemptedError,
    Place,
    Record,
    Transport,
    TransportError,
    TransportUnavailableError,
)
from streams.transport.memory import MemoryTransport
from tests.waiting import eventually

_INSERT = """
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    VALUES ($1, $2, '/test', $3, $4, clock_timestamp(), $5)"""

USER = UUID(int=7)


async def write(
    store: Database | Session,
    version: int,
    *,
    subject: str = "task",
    user: UUID = USER,
    event_type: str = "taskflow.task.updated",
) -> UUID:
    """Write an event of one version of one task, and give its id."""
    event_id = new_id()
    data = json.dumps({"version": version})
    await store.fetch(_INSERT, event_id, event_type, user, subject, data)
    return event_id


@dataclass(frozen=True, slots=True)
class Shown:
    """A record, as far as these tests look."""

    partition: int
    subject: str
    version: int
    event_id: UUID
    epoch: int


async def log_of(transport: Transport, topic: str = "task-events") -> Sequence[Shown]:
    """Read a topic to its end."""
    found: list[Record] = []
    for partition, extent in (await transport.extents(topic)).items():
        async with transport.tail(topic, {partition: extent.start}) as tail:
            place = extent.start
            while place < extent.end:
                page = await tail.read(500, 10)
                assert page, f"{topic}[{partition}] shows nothing from {place}"
                found += page
                place = page[-1].offset + 1
    return [_shown(record) for record in found]


def _shown(record: Record) -> Shown:
    event = json.loads(record.value or b"")
    return Shown(
        record.partition,
        event["subject"],
        event["data"]["version"],
        UUID(event["id"]),
        int(dict(record.headers)["epoch"]),
    )


def check_versions(log: Sequence[Shown]) -> None:
    """Each task's versions appear first in order, without a hole, and the newest is last."""
    seen: set[UUID] = set()
    newest: dict[str, int] = {}
    last: dict[str, int] = {}
    for record in log:
        last[record.subject] = record.version
        if record.event_id not in seen:
            seen.add(record.event_id)
            assert record.version == newest.get(record.subject, 0) + 1, record
            newest[record.subject] = record.version
    assert last == newest, "an older version is last"


class FaultyLog(MemoryTransport):
    """A log whose publishing fails as Kafka's may, by the throw of a seeded die.

    A batch is taken, refused, taken although its answer is lost, or late: then it is appended
    before the next batch of its partition, as the publisher over Kafka promises. Two calls for one
    partition at once are a failure of the test.
    """

    def __init__(self, settings: Settings, seed: int, failing: float) -> None:
        super().__init__(settings)
        self._dice = random.Random(seed)
        self.failing = failing
        self.failures = 0
        self._busy: set[tuple[str, int]] = set()
        self._late: dict[tuple[str, int], list[Message]] = {}

    async def publish_many(self, messages: Sequence[Message]) -> Sequence[Place | TransportError]:
        results: dict[int, Place | TransportError] = {}
        groups: dict[tuple[str, int], list[int]] = {}
        for index, message in enumerate(messages):
            place = message.topic, partition_of(message.key, 4)
            groups.setdefault(place, []).append(index)
        assert not self._busy & groups.keys(), "two batches of one partition at once"
        self._busy |= groups.keys()
        try:
            for place, indexes in groups.items():
                batch = [messages[index] for index in indexes]
                answers = await self._send(place, batch)
                results |= dict(zip(indexes, answers, strict=True))
        finally:
            self._busy -= groups.keys()
        return [results[index] for index in range(len(messages))]

    async def _send(
        self, place: tuple[str, int], batch: list[Message]
    ) -> Sequence[Place | TransportError]:
        await super().publish_many(self._late.pop(place, []))
        await asyncio.sleep(0)
        if self._dice.random() >= self.failing:
            return await super().publish_many(batch)
        self.failures += 1
        border = self._dice.randrange(len(batch))
        taken = list(await super().publish_many(batch[:border]))
        match self._dice.choice(("refused", "answer lost", "late")):
            case "answer lost":
                await super().publish_many(batch[border:])
            case "late":
                self._late[place] = batch[border:]
            case _:
                pass
        rest = len(batch) - border - 1
        return [*taken, TransportUnavailableError("die"), *[NotAttemptedError("die")] * rest]


def memory_settings() -> Settings:
    return Settings(_env_file=None, transport=TransportKind.MEMORY, kafka_partitions=4)


@dataclass
class Relay:
    """A relay within the test's process."""

    database: Database
    transport: Transport
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.leadership = Leadership(self.database, self.wake.set)
        self.shipping = Shipping(self.database, self.transport, self.leadership, self.wake)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Relay"]:
        await self.transport.create_topics(TOPICS)
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(self.leadership.keep()),
                tasks.create_task(self.shipping.run()),
            ]
            try:
                yield self
            finally:
                for task in running:
                    task.cancel()


async def drained(database: Database, limit_s: float = 20.0) -> None:
    """Wait until the outbox is empty."""

    async def empty() -> bool:
        return not await database.fetch("SELECT 1 FROM outbox LIMIT 1")

    await eventually(empty, limit_s, "the outbox is empty")


def subjects(count: int) -> dict[str, UUID]:
    """Give tasks of different users."""
    return {f"task-{number}": uuid4() for number in range(count)}
