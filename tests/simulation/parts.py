"""The processes of TaskFlow as they run here: the product's own parts, wired to simulated doors."""

import asyncio
import importlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, cast

from starlette.applications import Starlette

from api.app import make_app
from api.passwords import Passwords
from api.services import HookRules, Services
from gateway.connection import Connection
from gateway.feed import Feed
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.moment import Moment
from gateway.protocol import Entry, Session
from gateway.resume import Resumer
from gateway.revocations import Revocations
from gateway.tail import TailReader
from gateway.wire import Wire
from schemas.positions import PositionSeal
from schemas.settings import Settings, load_settings
from schemas.tokens import TokenKey
from schemas.topics import REMINDERS, TASK_EVENTS
from streams.effects.reading import Event
from streams.effects.worker import Worker
from streams.observability.health import Health
from streams.relay.__main__ import _relay
from streams.relay.leadership import Leadership
from streams.relay.shipping import DeposedError, Shipping
from streams.store.bell import open_bell
from streams.store.clock import DatabaseClock
from streams.store.database import Session as Transaction
from streams.transport.memory import MemoryTransport
from tests.simulation.clocks import life_here
from tests.simulation.log import SimulatedLog
from tests.simulation.process import Life
from tests.simulation.sockets import Socket
from tests.simulation.store import Store, open_store

SECRET = "s" * 32
KEY = TokenKey(SECRET)
SEAL = PositionSeal.from_secret(SECRET)
SETTINGS = Settings(_env_file=None, database_url="postgresql://none/none", jwt_secret=SECRET)


@dataclass
class Servers:
    """What the processes of one world work with."""

    store: Store
    memory: MemoryTransport
    partitions: int
    limits: Limits

    def log(self, life: Life) -> SimulatedLog:
        return SimulatedLog(life, self.memory, self.partitions)


class FakeTimeServices(Services):
    """The API's, with the fake clock."""

    @staticmethod
    def now() -> datetime:
        return life_here().stage.now()


@dataclass
class Api:
    """The API process; `services` are there while it serves."""

    servers: Servers
    life: Life | None = None
    services: Services | None = None

    @property
    def serves(self) -> bool:
        """Whether somebody listens on its port."""
        return self.life is not None and self.life.alive

    async def main(self, life: Life) -> None:
        database = open_store(life, self.servers.store, 10)
        async with open_bell(database) as bell:
            self.services = FakeTimeServices(
                database=database,
                bell=bell,
                key=KEY,
                passwords=Passwords(),
                health=Health({"database": database.check}),
                vault=None,
                hook_rules=HookRules((), allow_http=False),
                trusted_proxies=(),
            )
            self.life = life
            await asyncio.Event().wait()


@lru_cache
def application() -> Starlette:
    """Make the API's routes and layers, once: they keep nothing."""
    return make_app(SETTINGS)


@dataclass
class Relay:
    """A relay process; `stopping` is its SIGTERM."""

    servers: Servers
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def main(self, life: Life) -> None:
        self.stopping = asyncio.Event()
        database = open_store(life, self.servers.store, 4)
        wake = asyncio.Event()
        leadership = Leadership(database, wake.set)
        shipping = Shipping(database, self.servers.log(life), leadership, wake)
        await _relay(leadership, shipping, self.stopping)


async def end_when_deposed(shipping: Shipping) -> None:
    """End the process as the product's does, which is the end of a life here."""
    try:
        await shipping.watch()
    except DeposedError:
        life_here().end("deposed")


@dataclass
class Gateway:
    """The gateway process without its server: sockets are opened by a call."""

    servers: Servers
    open: Callable[[Socket, Entry], None] | None = None
    """None while it does not listen."""

    async def main(self, life: Life) -> None:
        limits, log, stage = self.servers.limits, self.servers.log(life), life.stage

        def clock() -> Moment:
            return Moment(stage.now(), stage.loop.time())

        feed, hub = Feed(limits), Hub(SEAL)
        resumer, revocations = Resumer(log, feed, limits), Revocations(limits.revocations_max)
        tail = TailReader(log, feed, hub, revocations, limits, clock)

        def serve(socket: Socket, entry: Entry) -> None:
            socket.entry = entry
            wire, session = cast("Wire", socket), Session(KEY, limits, clock())
            one = Connection(wire, session, feed, hub, resumer, revocations, limits, clock)
            life.closing.append(socket.cut)
            life.spawn(one.run())

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tail.run())
            for _ in range(limits.searches_at_a_time):
                tasks.create_task(resumer.run())
            self.open = serve
            life.closing.append(self._close)
            await asyncio.Event().wait()

    def _close(self) -> None:
        self.open = None


@lru_cache
def modules() -> Mapping[str, Any]:
    """Import the workers, which read their settings then; nothing is connected."""
    before = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    os.environ["KAFKA_BOOTSTRAP_SERVERS"] = "127.0.0.1:1"
    load_settings.cache_clear()
    names = ("audit", "recurrence", "reminders", "notifications", "webhooks")
    found = {name: importlib.import_module(f"streams.{name}") for name in names}
    load_settings.cache_clear()
    if before is None:
        del os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    else:
        os.environ["KAFKA_BOOTSTRAP_SERVERS"] = before
    return found


def audit(_: Life) -> Worker:
    return own_worker("audit")


def notifications(_: Life) -> Worker:
    return own_worker("notifications")


def webhooks(_: Life) -> Worker:
    return own_worker("webhooks")


def own_worker(name: str, **changes: Any) -> Worker:
    """Give a worker as its module has made it, or with other parts, which are a process's own."""
    worker: Worker = modules()[name].app._worker
    parts: dict[str, Any] = {
        "app": worker.app,
        "topic": worker.topic,
        "types": worker.types,
        "apply": worker.apply,
    }
    return Worker(**(parts | changes))


def recurrence(life: Life) -> Worker:
    own = modules()["recurrence"].Recurrence(now=life.stage.now)
    return own_worker("recurrence", apply=own.apply, beside=own.keep_bell, committed=own.committed)


def reminders(life: Life) -> Worker:
    own = modules()["reminders"].Reminders(clock=DatabaseClock(own_clock=life.stage.loop.time))
    return own_worker("reminders", apply=own.apply, beside=own.keep)


def witness(_: Life) -> Worker:
    """Make a worker whose effects are not idempotent: only the ledger keeps it from repeating."""
    types = frozenset(own_worker("audit").types)
    return Worker(app="witness", topic=TASK_EVENTS, types=types, apply=_witness)


async def _witness(session: Transaction, events: Sequence[Event]) -> None:
    await session.fetch(
        "INSERT INTO witnessed SELECT * FROM unnest($1::integer[], $2::bigint[])",
        [event.record.partition for event in events],
        [event.record.offset for event in events],
    )


WORKERS: Mapping[str, Callable[[Life], Worker]] = {
    "audit": audit,
    "recurrence": recurrence,
    "reminders": reminders,
    "notifications": notifications,
    "webhooks": webhooks,
    "witness": witness,
}
TOPIC_OF = dict.fromkeys(WORKERS, TASK_EVENTS.name) | {"notifications": REMINDERS.name}
