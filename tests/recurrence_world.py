"""Users with recurring tasks, and the recurrence worker's effects, without Kafka between them."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from schemas import codec
from schemas.bodies import TaskPatch
from schemas.events import Actor, ActorKind, Envelope
from schemas.ids import new_id
from schemas.tasks import Scope, Task, TaskFields
from schemas.topics import TASK_EVENTS
from streams.domain import tasks as domain
from streams.domain.routing import topics_of
from streams.domain.tasks import Change
from streams.effects.reading import Event
from streams.effects.worker import Apply
from streams.relay.envelope import encode_envelope
from streams.store.database import Database
from streams.store.outbox import unsent_rows
from streams.store.tasks import Origin, find_task, insert_task, update_task
from streams.transport.interface import Record
from tests.dying import KilledError, dying

ROWS_MAX = 100_000

_USER = """
    INSERT INTO users (id, email, email_key, password_hash, timezone)
    SELECT id, id || '@example.org', id || '@example.org', 'none', $2
      FROM (SELECT $1::uuid AS id) AS new"""

_SERIES = """
    SELECT task_json(tasks)::text AS task FROM tasks
     WHERE series_id = $1 ORDER BY occurrence"""


@dataclass
class RecurrenceWorld:
    """A database, a clock that stands, and the log as the outbox is emptied into it."""

    database: Database
    apply: Apply
    now: datetime = datetime(2027, 1, 4, 12, tzinfo=UTC)
    log: list[Event] = field(default_factory=list)
    beside: list[Event] = field(default_factory=list)
    """What came for other topics only."""

    async def user(self, timezone: str = "UTC") -> UUID:
        user_id = new_id()
        await self.database.fetch(_USER, user_id, timezone)
        return user_id

    async def create(self, user_id: UUID, **fields: Any) -> Task:
        change = domain.create(TaskFields.model_validate({"title": "Water"} | fields), self.now)
        return await insert_task(self.database, user_id, change, _origin(user_id))

    async def write(self, task: Task, decide: Callable[[Task, datetime], Change | None]) -> Task:
        """Decide and write as the API does, for a task as it is now."""
        found = await find_task(self.database, task.user_id, task.id, deleted_too=True)
        assert found is not None
        change = decide(found, self.now)
        if change is None:
            return found
        written = await update_task(self.database, found, change, _origin(task.user_id))
        assert written is not None
        return written

    async def complete(self, task: Task) -> Task:
        return await self.write(task, domain.complete)

    async def reopen(self, task: Task) -> Task:
        return await self.write(task, domain.reopen)

    async def delete(self, task: Task) -> Task:
        return await self.write(task, domain.delete)

    async def patch(self, task: Task, scope: Scope = Scope.FOLLOWING, **fields: Any) -> Task:
        body = TaskPatch.model_validate(fields)
        return await self.write(task, lambda found, now: domain.patch(found, body, now, scope))

    async def publish(self) -> Sequence[Event]:
        """Empty the outbox into the log, as the relay does; give what came."""
        rows = await unsent_rows(self.database, ROWS_MAX)
        events = [_event(encode_envelope(row)) for row in rows]
        await self.database.fetch(
            "DELETE FROM outbox WHERE seq = ANY ($1::bigint[])", [row.seq for row in rows]
        )
        told = [event for event in events if TASK_EVENTS in topics_of(event.envelope.type)]
        self.beside += [event for event in events if event not in told]
        self.log += told
        return told

    async def work(self, events: Sequence[Event] | None = None) -> None:
        """Apply events in one transaction: all that is new, or those given."""
        wanted = await self.publish() if events is None else events
        async with self.database.transaction() as session:
            await self.apply(session, wanted)

    async def die(self, events: Sequence[Event], statements: int) -> None:
        """Apply events in a transaction that dies after so many statements, or before its end."""
        with suppress(KilledError):
            async with self.database.transaction() as session:
                await self.apply(dying(session, statements), events)
                raise KilledError

    async def settle(self) -> None:
        """Publish and apply until nothing new comes."""
        while events := await self.publish():
            await self.work(events)

    async def series(self, task: Task, *, deleted_too: bool = False) -> Sequence[Task]:
        """Give a series' tasks by their number."""
        rows = await self.database.fetch(_SERIES, task.series_id)
        tasks = [Task.model_validate_json(row["task"]) for row in rows]
        return [one for one in tasks if deleted_too or one.deleted_at is None]


def _origin(user_id: UUID) -> Origin:
    return Origin(Actor(kind=ActorKind.USER, id=str(user_id)))


def _event(value: bytes) -> Event:
    envelope = Envelope.model_validate(codec.decode(value))
    key = str(envelope.partitionkey).encode()
    return Event(Record("task-events", 0, 0, key, value, (), 0), envelope)
