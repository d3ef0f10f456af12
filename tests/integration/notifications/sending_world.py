"""Users with channels, reminders that come due, and the senders, on a real database."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

from schemas.events import REMINDER_DUE, Envelope, TaskEventType
from schemas.ids import new_id
from schemas.notifications import ChannelKind, Delivery, Notification
from schemas.settings import Settings
from streams.channels.lane import Lane, make_lanes
from streams.channels.senders import open_senders
from streams.domain.webhooks import new_secret
from streams.effects.reading import Event
from streams.store.bell import Bell
from streams.store.channels import Hook, insert_channel, seal_hook
from streams.store.database import Database, Row
from streams.store.deliveries import list_deliveries
from streams.store.notifications import list_notifications
from streams.store.users import NewAccount, NewSession, insert_user
from streams.store.vault import Vault, make_vault
from streams.transport.interface import Record
from tests.integration.effects.effects_world import envelope
from tests.unit.schemas.samples import task_json
from tests.waiting import eventually

KEYS = ("k" * 32,)
WAIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Hooked:
    """A user, and one channel of theirs."""

    user_id: UUID
    channel_id: UUID
    secret: str = ""


@dataclass
class World:
    """A database, the worker's own functions, and settings that let webhooks reach loopback."""

    database: Database
    worker: ModuleType
    settings: Settings
    vault: Vault
    lanes: list[Lane] = field(default_factory=list)

    async def user(self, email: str | None = None, *, verified: bool = True) -> UUID:
        user_id = new_id()
        account = NewAccount(
            user_id, email or f"{user_id}@example.org", "no hash", None, "Asia/Tokyo"
        )
        until = datetime.now(UTC) + timedelta(days=1)
        session = NewSession(uuid4(), bytes(16) + uuid4().bytes, until)
        await insert_user(self.database, account, session)
        if verified:
            await self.database.fetch(
                "UPDATE users SET email_verified_at = now() WHERE id = $1", user_id
            )
        return user_id

    async def hook(
        self, url: str, user_id: UUID | None = None, types: Sequence[str] = (REMINDER_DUE,)
    ) -> Hooked:
        owner = user_id or await self.user()
        channel_id, secret = new_id(), new_secret()
        sealed = seal_hook(self.vault, channel_id, Hook(url, secret))
        await insert_channel(
            self.database, owner, channel_id, ChannelKind.WEBHOOK, "home", types, sealed
        )
        return Hooked(owner, channel_id, secret)

    async def email(self, user_id: UUID) -> Hooked:
        channel_id = new_id()
        await insert_channel(
            self.database, user_id, channel_id, ChannelKind.EMAIL, "mail", (REMINDER_DUE,), None
        )
        return Hooked(user_id, channel_id)

    async def remind(self, *events: Event) -> None:
        """Apply events as the worker does, and tell the senders."""
        async with self.database.transaction() as session:
            await self.worker.apply(session, events)
        for lane in self.lanes:
            lane.wake.set()

    async def deliveries(self, hooked: Hooked) -> Sequence[Delivery]:
        return await list_deliveries(self.database, hooked.user_id, hooked.channel_id, None, 10_000)

    async def notifications(self, user_id: UUID) -> Sequence[Notification]:
        return await list_notifications(self.database, user_id, None, 10_000, unread_only=False)

    async def settled(
        self, hooked: Hooked, count: int, limit_s: float = WAIT_S
    ) -> Sequence[Delivery]:
        """Wait until so many deliveries are done, and give them."""

        async def all_done() -> bool:
            done = [item for item in await self.deliveries(hooked) if item.state != "waiting"]
            return len(done) == count

        await eventually(all_done, limit_s, f"{count} deliveries are done")
        return await self.deliveries(hooked)

    async def events(self, user_id: UUID, type_: str) -> list[dict[str, Any]]:
        """Give the data of a user's outbox rows of one type."""
        rows: list[Row] = await self.database.fetch(
            "SELECT data::text AS data FROM outbox WHERE user_id = $1 AND type = $2 ORDER BY seq",
            user_id,
            type_,
        )
        return [json.loads(row["data"]) for row in rows]

    @asynccontextmanager
    async def sending(
        self, pace: float = 0.02, **settings: object
    ) -> AsyncIterator[Sequence[Lane]]:
        """Run the senders while the context is open, with waits that are shorter."""
        given = self.settings.model_copy(update=settings)
        async with AsyncExitStack() as resources:
            senders = await resources.enter_async_context(open_senders(given, self.database))
            lanes = [
                lane
                for kind, send in senders.items()
                for lane in make_lanes(self.database, Bell(), kind, send, pace)
            ]
            tasks = [asyncio.create_task(lane.run()) for lane in lanes]
            self.lanes += lanes
            try:
                yield lanes
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                self.lanes = [lane for lane in self.lanes if lane not in lanes]


def reminder(user_id: UUID, title: str = "Pay rent", **changes: object) -> Event:
    """Make a reminder's event as it comes from the log."""
    value = reminder_bytes(user_id, title, **changes)
    record = Record("reminders", 0, 0, str(user_id).encode(), value, (), 0)
    return Event(record, Envelope.model_validate_json(value))


def reminder_bytes(user_id: UUID, title: str = "Pay rent", **changes: object) -> bytes:
    """Make the envelope of a reminder."""
    task = task_json(user_id=str(user_id), id=str(new_id()), title=title)
    at = "2027-01-31T08:00:00Z"
    data = {"task": task, "remind_at": at, "fired_at": at, "late": False} | changes
    return envelope(data, REMINDER_DUE, partitionkey=str(user_id), subject=task["id"])


def change(
    user_id: UUID,
    type_: str = TaskEventType.UPDATED,
    at: datetime | None = None,
    task: Mapping[str, object] | None = None,
) -> Event:
    """Make the event of a change of a task as it comes from the log."""
    value = change_bytes(user_id, type_, at, task)
    record = Record("task-events", 0, 0, str(user_id).encode(), value, (), 0)
    return Event(record, Envelope.model_validate_json(value))


def change_bytes(
    user_id: UUID,
    type_: str = TaskEventType.UPDATED,
    at: datetime | None = None,
    task: Mapping[str, object] | None = None,
) -> bytes:
    """Make the envelope of a change of a task, as of now; `task` has what is unusual of it."""
    whole = task_json(user_id=str(user_id), id=str(new_id())) | dict(task or {})
    actor = {"kind": "user", "id": str(user_id)}
    data = {"task": whole, "changed": ["title"], "actor": actor}
    time = (at or datetime.now(UTC)).isoformat()
    return envelope(data, type_, partitionkey=str(user_id), subject=whole["id"], time=time)


def make_world(database: Database, worker: ModuleType, settings: Settings) -> World:
    """Make a world whose webhooks may go to loopback by http."""
    vault = make_vault(KEYS)
    assert vault is not None
    given = Settings(
        _env_file=None,
        database_url=settings.database_url,
        channel_keys=",".join(KEYS),
        webhook_allow_http=True,
        webhook_allow_networks="127.0.0.0/8,::1/128",
    )
    return World(database, worker, given, vault)


Answer = Callable[[int], tuple[int, dict[str, str]] | None]
