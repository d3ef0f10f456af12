"""A trail that was written from a real log, and what is done to it before it is rebuilt."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.settings import Settings
from schemas.topics import TASK_EVENTS
from streams.effects.command_line import Desk
from streams.effects.processor import Processor, read_until
from streams.effects.worker import Worker
from streams.store.database import Database
from streams.store.offsets import all_offsets
from streams.transport.interface import Message, Transport
from tests.audit_world import audit_worker, found_in, records_of
from tests.operating import Done, faust
from tests.stack import Stack

TOPIC = TASK_EVENTS.name
USERS = [uuid4() for _ in range(6)]


@dataclass
class RebuildWorld:
    """A database, a log and the audit worker, whose records are brought by hand."""

    database: Database
    transport: Transport
    settings: Settings
    stack: Stack
    worker: Worker

    async def publish(self, count: int, users: Sequence[UUID] = USERS) -> None:
        """Publish events, the users taking turns; each goes to its user's partition."""
        await self.transport.publish_many(
            [
                Message(TOPIC, record.key or b"", record.value or b"")
                for record in records_of(users, count)
            ]
        )

    async def process(self, worker: Worker | None = None) -> None:
        """Let the worker process all that the log has behind the ledger."""
        processor = Processor(worker or self.worker, self.database, self.transport)
        ledger = await all_offsets(self.database, "audit", TOPIC)
        for partition, extent in (await self.transport.extents(TOPIC)).items():
            begin = max(ledger.get(partition, extent.start), extent.start)
            if begin < extent.end:
                async with self.transport.tail(TOPIC, {partition: begin}) as tail:
                    await processor.process(await read_until(tail, extent.end))

    async def rebuild(self, *words: str) -> Done:
        """Run the command."""
        return await faust(self.stack.environment(), "audit", "rebuild", *words)

    async def start_rebuild(self) -> asyncio.subprocess.Process:
        """Start the command, to be killed."""
        words = ("-m", "faust", "-A", "streams.audit", "rebuild", "--yes")
        return await asyncio.create_subprocess_exec(
            sys.executable, *words, env=self.stack.environment()
        )

    async def cut_log(self, offset: int) -> None:
        """Take all below an offset from every partition, as retention does."""
        name = f"{self.settings.kafka_topic_prefix}{TOPIC}"
        servers = self.settings.required_bootstrap_servers()
        admin = AIOKafkaAdminClient(bootstrap_servers=servers)
        await admin.start()
        try:
            extents = await self.transport.extents(TOPIC)
            await admin.delete_records(
                {
                    TopicPartition(name, number): RecordsToDelete(min(offset, extent.end))
                    for number, extent in extents.items()
                    if extent.end
                }
            )
        finally:
            await admin.close()

    async def load(self, over: asyncio.Event) -> int:
        """Publish until it is over, and give how many events it were."""
        count = 0
        while not over.is_set():
            await self.publish(6)
            count += 6
        return count

    async def has(self, count: int) -> bool:
        row = await self.database.fetchrow("SELECT count(*) AS n FROM audit_entries")
        return row is not None and row["n"] == count

    async def trail(self) -> list[tuple[object, ...]]:
        """Give what a reader is shown of all entries, in their users' order."""
        rows = await self.database.fetch(
            """SELECT user_id, position, event_id, event_type, task_id, timestamp,
                      content::jsonb -> 'task_data' AS task FROM audit_entries
                ORDER BY user_id, position"""
        )
        return [tuple(row) for row in rows]

    async def hashes(self, user_id: UUID) -> list[bytes]:
        rows = await self.database.fetch(
            "SELECT hash FROM audit_entries WHERE user_id = $1 ORDER BY position", user_id
        )
        return [row["hash"] for row in rows]

    async def is_sound(self) -> bool:
        return await found_in(self.database) == []

    async def has_shadow(self) -> bool:
        row = await self.database.fetchrow("SELECT to_regnamespace('audit_shadow') AS it")
        return row is not None and row["it"] is not None

    def desk(self) -> Desk:
        return Desk(self.worker, self.database, self.transport)


def worker_of() -> Worker:
    with audit_worker() as audit:
        worker = audit.app._worker
    assert isinstance(worker, Worker)
    return worker
