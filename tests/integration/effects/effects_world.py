"""A worker of one small table, over a log in memory that can lose and refuse what a test says."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from schemas import codec
from schemas.ids import new_id
from schemas.settings import Settings, TransportKind
from schemas.topics import TASK_EVENTS, TOPICS
from streams.effects.processor import Processor
from streams.effects.reading import Event
from streams.effects.worker import Worker
from streams.store.database import Database, Session
from streams.transport.interface import (
    Extent,
    Message,
    Place,
    Record,
    Tail,
    TransportError,
    TransportUnavailableError,
)
from streams.transport.memory import MemoryTransport

USER = UUID(int=5)
KEY = str(USER).encode()
TYPE = "taskflow.task.updated"
TOPIC = TASK_EVENTS.name
DEAD = TASK_EVENTS.dead_letters.name

# Without a unique key: what is written twice is seen twice.
TABLE = "CREATE TABLE written (n integer NOT NULL CHECK (n >= 0), event_id uuid NOT NULL)"


async def apply(session: Session, events: Sequence[Event]) -> None:
    """Write each event's number; a negative one is refused by the table, a missing one is a bug."""
    for event in events:
        if bug := event.envelope.data.get("bug"):
            raise LookupError(bug)
    numbers = [event.envelope.data["n"] for event in events]
    ids = [event.envelope.id for event in events]
    await session.fetch(
        "INSERT INTO written SELECT * FROM unnest($1::integer[], $2::uuid[])", numbers, ids
    )


WORKER = Worker(app="test", topic=TASK_EVENTS, types=frozenset({TYPE}), apply=apply)


def envelope(data: Mapping[str, object], event_type: str = TYPE, **changes: object) -> bytes:
    members = {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/test",
        "type": event_type,
        "subject": "x",
        "time": "2027-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": str(USER),
        "data": data,
    }
    return codec.encode(members | changes)


class ForgetfulLog(MemoryTransport):
    """A log that shows no record at some offsets, and refuses dead letters for a while."""

    def __init__(self) -> None:
        super().__init__(
            Settings(_env_file=None, transport=TransportKind.MEMORY, kafka_partitions=2)
        )
        self.hidden: set[int] = set()
        self.dead_refusals = 0
        self.stale: list[Mapping[int, Extent]] = []
        """What is told of the topic instead of what it holds, once each."""

    async def extents(self, topic: str) -> Mapping[int, Extent]:
        return self.stale.pop(0) if self.stale else await super().extents(topic)

    async def publish_many(self, messages: Sequence[Message]) -> Sequence[Place | TransportError]:
        if messages and messages[0].topic == DEAD and self.dead_refusals:
            self.dead_refusals -= 1
            return [TransportUnavailableError("on request") for _ in messages]
        return await super().publish_many(messages)

    @asynccontextmanager
    async def tail(self, topic: str, positions: Mapping[int, int]) -> AsyncIterator[Tail]:
        async with super().tail(topic, positions) as tail:
            yield _Forgetful(tail, self.hidden)


@dataclass(frozen=True, slots=True)
class _Forgetful:
    tail: Tail
    hidden: set[int]

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        page = await self.tail.read(records_max, min(timeout_s, 0.2))
        return [record for record in page if record.offset not in self.hidden]


@dataclass
class World:
    """A database, a log, and as many workers as are made."""

    database: Database
    log: ForgetfulLog = field(default_factory=ForgetfulLog)

    async def prepare(self) -> None:
        await self.log.create_topics(TOPICS)
        await self.database.fetch(TABLE)

    def processor(self, worker: Worker = WORKER) -> Processor:
        return Processor(worker, self.database, self.log)

    async def publish(self, *values: int | bytes, key: bytes = KEY) -> Sequence[Record]:
        """Publish events to partition 0, and give them as records; an int is a right one."""
        wanted = [envelope({"n": n}) if isinstance(n, int) else n for n in values]
        places = await self.log.publish_many(
            [Message(TOPIC, key, value, partition=0) for value in wanted]
        )
        offsets = {place.offset for place in places if isinstance(place, Place)}
        return [record for record in await self.records(TOPIC) if record.offset in offsets]

    async def records(self, topic: str) -> Sequence[Record]:
        """Read all of a topic, whatever is hidden."""
        extents = await self.log.extents(topic)
        found: list[Record] = []
        for partition, extent in extents.items():
            positions = {partition: extent.start}
            found += self.log.take(topic, positions, extent.end - extent.start)
        return found

    async def written(self) -> list[int]:
        rows = await self.database.fetch("SELECT n FROM written")
        return [row["n"] for row in rows]

    async def ledger(self) -> int | None:
        row = await self.database.fetchrow(
            "SELECT next_offset FROM stream_offsets WHERE app = 'test' AND partition = 0"
        )
        return int(row["next_offset"]) if row else None

    async def dead_offsets(self) -> list[int]:
        """Where the dead letters were in their source."""
        headers = [dict(record.headers) for record in await self.records(DEAD)]
        return [int(header["dlq-offset"]) for header in headers]
