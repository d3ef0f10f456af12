"""A load: numbered events as the relay writes them, published straight to task-updates."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count, repeat
from time import monotonic
from uuid import UUID

from schemas import codec
from schemas.events import CONTENT_TYPE
from schemas.ids import new_id
from schemas.topics import TASK_UPDATES
from streams.relay.envelope import encode_envelope
from streams.store.outbox import OutboxRow
from streams.transport.interface import Message, Place, Transport

TICK_S = 0.01
EPOCH = b"1"


@dataclass(slots=True)
class Load:
    """Publishes, and knows of each number whose it is, and when it was called and acknowledged."""

    transport: Transport
    called_at: dict[int, float] = field(default_factory=dict)
    acked_at: dict[int, float] = field(default_factory=dict)
    numbers: dict[UUID, list[int]] = field(default_factory=dict)
    bytes_published: int = 0
    _next: "count[int]" = field(default_factory=count)

    async def publish(self, users: Sequence[UUID], fillers: Sequence[int] = ()) -> None:
        """Publish an event of each user's, and wait until all are acknowledged."""
        messages, numbers = [], []
        for user, filler in zip(users, fillers or repeat(0), strict=False):
            number = next(self._next)
            numbers.append(number)
            self.numbers.setdefault(user, []).append(number)
            messages.append(message(user, number, filler))
        self.bytes_published += sum(len(each.value) for each in messages)
        self.called_at |= dict.fromkeys(numbers, monotonic())
        results = await self.transport.publish_many(messages)
        assert all(isinstance(result, Place) for result in results), results
        self.acked_at |= dict.fromkeys(numbers, monotonic())

    async def steadily(
        self,
        events: int,
        within_s: float,
        user_of: Callable[[int], UUID],
        filler_of: Callable[[int], int] = lambda _: 0,
    ) -> None:
        """Publish events evenly over a time: each tick those that are due, as the relay does."""
        began_at, published = monotonic(), 0
        while published < events:
            due = min(events, int(events * (monotonic() - began_at) / within_s) + 1)
            if due > published:
                indexes = range(published, due)
                await self.publish([*map(user_of, indexes)], [*map(filler_of, indexes)])
                published = due
            next_at = began_at + within_s * published / events
            await asyncio.sleep(max(0.0, min(TICK_S, next_at - monotonic())))


def message(user: UUID, number: int, filler: int = 0) -> Message:
    """Write an event of the usual size, or with a longer description."""
    subject, instant = new_id(), "2027-01-31T08:00:00.000000Z"
    task = {
        "id": str(subject),
        "user_id": str(user),
        "title": "Pay the rent, and tell the others",
        "description": "x" * (filler or 100),
        "status": "pending",
        "completed": False,
        "priority": "medium",
        "due_date": "2027-01-31",
        "remind_at": instant,
        "recurrence_pattern": "monthly",
        "recurrence_interval": 1,
        "recurrence_mode": "due",
        "next_occurrence": "2027-02-28",
        "series_id": str(subject),
        "occurrence": 1,
        "tags": ["home"],
        "completed_at": None,
        "deleted_at": None,
        "version": 1,
        "created_at": instant,
        "updated_at": instant,
    }
    actor = {"kind": "user", "id": str(user)}
    data = {"number": number, "task": task, "changed": ["title"], "actor": actor}
    row = OutboxRow(
        seq=number,
        event_id=new_id(),
        type="taskflow.task.updated",
        source="/taskflow/api",
        user_id=user,
        subject=str(subject),
        occurred_at=instant,
        traceparent=None,
        data=codec.encode(data).decode(),
    )
    headers = (("content-type", CONTENT_TYPE), ("epoch", EPOCH))
    return Message(TASK_UPDATES.name, str(user).encode(), encode_envelope(row), headers)
