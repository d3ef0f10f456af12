"""A world: people, processes, and what disturbs them; played from a seed to a quiet end."""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

import streams.relay.shipping
from gateway.limits import Limits
from schemas.events import REMINDER_DUE
from schemas.settings import Settings, TransportKind
from schemas.tokens import Claims
from schemas.topics import TOPICS
from streams.relay.shipping import ROWS_MAX
from streams.transport.memory import MemoryTransport
from tests.simulation.chance import Chance
from tests.simulation.checks import Left, find_wrong
from tests.simulation.clocks import clocks_of, replaced
from tests.simulation.group import Group
from tests.simulation.loop import SimulatedLoop
from tests.simulation.parts import (
    KEY,
    TOPIC_OF,
    WORKERS,
    Api,
    Gateway,
    Relay,
    Servers,
    end_when_deposed,
)
from tests.simulation.people import Person, User
from tests.simulation.process import STOP_S_MAX, Process, Stage, make_task
from tests.simulation.server import Server
from tests.simulation.sockets import Client
from tests.simulation.store import Store

WRITES_MIN, WRITES_MAX = 3, 10
BUSY_PART, BUSY_FACTOR = 0.1, 3
"""So many worlds have so many times the writes: what is forgotten by the number needs some."""
LOOK_S = 0.5
DRAIN_S_MAX = 120.0
DISTURB_S_MAX = 1.5
SMALL_ROWS = 2
"""Of a relay's round, so that what a gateway remembers, twice as much, is less than there is."""

_USER = """
    INSERT INTO users (id, email, email_key, password_hash)
    SELECT id, id || '@example.org', id || '@example.org', 'none'
      FROM (SELECT $1::uuid AS id) AS made"""

_CHANNEL = """
    INSERT INTO channels (id, user_id, kind, name, event_types)
    VALUES ($1, $2, 'webhook', 'a hook', ARRAY ['taskflow.task.completed', $3])"""

_UNDONE = """
    SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM reminders
             WHERE fires_at < sim.clock_timestamp() + interval '1 minute') AS n"""
_LEDGER = "SELECT app, topic, partition, next_offset FROM stream_offsets"


@dataclass(frozen=True)
class Outcome:
    """What became of a seed: what was wrong, and every step on the way."""

    seed: int
    wrong: Sequence[str]
    trace: Sequence[str]

    @property
    def text(self) -> str:
        """Give the whole story."""
        return "\n".join([f"seed {self.seed}", *self.trace, *(f"WRONG: {w}" for w in self.wrong)])


@dataclass
class World:
    """One seed's."""

    stage: Stage
    server: Server
    servers: Servers
    processes: list[Process] = field(default_factory=list)
    users: list[User] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    relays: list[Relay] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)

    async def play(self) -> None:
        """Live, calm down, and come to an end."""
        chance = self.stage.chance
        await self.servers.memory.create_topics(TOPICS)
        api, gateway = Api(self.servers), Gateway(self.servers)
        self._make_processes(api, gateway)
        people = self._make_people(api)
        self._make_clients(gateway)
        self._begin()
        disturbing = asyncio.create_task(self._disturb())
        writes = chance.random.randint(WRITES_MIN, WRITES_MAX)
        if chance.random.random() < BUSY_PART:
            writes *= BUSY_FACTOR
        shares = [writes // len(people) + (n < writes % len(people)) for n in range(len(people))]
        await asyncio.gather(
            *(person.live(share) for person, share in zip(people, shares, strict=True))
        )
        disturbing.cancel()
        self._calm()
        await self._drain()

    def left(self) -> Left:
        """Give what is to be checked."""
        return Left(
            self.server,
            self.servers.memory,
            self.users,
            self.clients,
            self.groups,
            self.stage.now(),
        )

    def _make_processes(self, api: Api, gateway: Gateway) -> None:
        random = self.stage.chance.random
        self._add("api", api.main)
        self._add("gateway", gateway.main)
        for number in range(random.choice((1, 2))):
            relay = Relay(self.servers)
            self.relays.append(relay)
            self._add(f"relay-{number}", relay.main)
        for name, make in WORKERS.items():
            group = Group(self.servers, make, TOPIC_OF[name], self.stage.chance)
            self.groups[name] = group
            for number in range(random.choice((1, 1, 2))):
                self._add(f"{name}-{number}", group.main)

    def _add(self, name: str, main: "object") -> None:
        self.processes.append(Process(self.stage, name, main))  # type: ignore[arg-type]

    def _make_people(self, api: Api) -> Sequence[Person]:
        chance = self.stage.chance
        for _ in range(chance.random.choice((1, 1, 2))):
            at_s = self.stage.now().timestamp()
            user = User(chance.id_at(at_s), chance.id_at(at_s))
            self.server.fetch(_USER, user.id)
            if chance.random.random() < 0.5:
                user.hook_id = chance.id_at(at_s)
                self.server.fetch(_CHANNEL, user.hook_id, user.id, REMINDER_DUE)
            self.users.append(user)
        each = chance.random.choice((1, 2, 3))
        wanted = [user for user in self.users for _ in range(each)]
        return [Person(self.stage, api, u, f"person-{n}") for n, u in enumerate(wanted)]

    def _make_clients(self, gateway: Gateway) -> None:
        for user in self.users:

            def claims(user: User = user) -> Claims:
                now = self.stage.now()
                return KEY.check(KEY.issue(user.id, user.session_id, now), now)

            for _ in range(self.stage.chance.random.choice((1, 2))):
                name = f"client-{len(self.clients)}"
                client = Client(self.stage, name, user.id, claims, lambda: gateway.open)
                self.clients.append(client)

    def _begin(self) -> None:
        for process in self.processes:
            asyncio.create_task(process.keep_alive())  # noqa: RUF006 (the loop ends with them)
        for client in self.clients:
            asyncio.create_task(client.run())  # noqa: RUF006

    async def _disturb(self) -> None:
        """End, stop, and rearrange processes, wherever they are."""
        chance = self.stage.chance
        if chance.random.random() < 0.3:
            return
        while True:
            await asyncio.sleep(chance.between(0.05, DISTURB_S_MAX))
            life = chance.random.choice(self.processes).life
            what = chance.random.choice(("end", "stop", "term", "share", "share"))
            if what == "end" and life:
                life.end("killed")
            elif what == "stop" and life:
                life.stop(chance.between(0.05, STOP_S_MAX))
            elif what == "term":
                self.stage.note("world", "a relay is asked to stop")
                chance.random.choice(self.relays).stopping.set()
            elif what == "share":
                name = chance.random.choice(tuple(self.groups))
                self.stage.note("world", f"{name} is shared out")
                self.groups[name].share_out()

    def _calm(self) -> None:
        self.stage.note("world", "is calm")
        self.stage.chance.calm_down("the people have gone")
        for process in self.processes:
            if process.life is not None:
                process.life.wake()

    async def _drain(self) -> None:
        """Wait until nothing is left to do."""
        until = self.stage.loop.time() + DRAIN_S_MAX
        while undone := await self._undone():
            if self.stage.loop.time() > until:
                self.stage.wrong.append(f"not within {DRAIN_S_MAX:.0f} s of calm: {undone}")
                return
            await asyncio.sleep(LOOK_S)

    async def _undone(self) -> str | None:
        self.server.clock.show(self.stage.now_us())
        if self.server.fetch(_UNDONE)[0]["n"]:
            return "the outbox is empty, and what is due has fired"
        ledger = {tuple(row)[:3]: row["next_offset"] for row in self.server.fetch(_LEDGER)}
        for app, topic in TOPIC_OF.items():
            for partition, extent in (await self.servers.memory.extents(topic)).items():
                if ledger.get((app, topic, partition), 0) < extent.end:
                    return f"{app} has done {topic}[{partition}]"
        for client in self.clients:
            if self.left().missing_of(client):
                return "every client has all events"
        return None


def play(seed: int, server: Server) -> Outcome:
    """Play a seed: the same seed gives the same outcome, to the last step."""
    loop = SimulatedLoop()
    loop.set_task_factory(make_task)  # type: ignore[arg-type]  # it gives what it is given
    # A fault that a task ends with is told where somebody waits for it.
    loop.set_exception_handler(lambda *_: None)
    chance = Chance(seed)
    stage = Stage(loop, chance)
    server.clean()
    server.clock.show(stage.now_us())
    rows = (streams.relay.shipping, "ROWS_MAX", chance.random.choice((SMALL_ROWS, ROWS_MAX)))
    world = World(stage, server, _servers(chance, server, rows[2]))
    with _silent(), clocks_of(stage, end_when_deposed), replaced(rows):
        try:
            loop.run_until_complete(world.play())
            stage.wrong += find_wrong(world.left())
        finally:
            _end(world, loop)
    stage.note("world", f"ends with {_digest(world)}")
    return Outcome(seed, tuple(stage.wrong), tuple(stage.trace))


def _servers(chance: Chance, server: Server, rows_max: int) -> Servers:
    partitions = chance.random.choice((1, 2))
    limits = Limits(
        sieve_records=2 * rows_max,
        recent_bytes_max=chance.random.choice((1_500, 6_000, 1_000_000)),
        indexed_events_max=chance.random.choice((1, 1_000)),
        unsent_bytes_max=chance.random.choice((1_500, 1_000_000)),
    )
    memory = MemoryTransport(_settings(partitions))
    return Servers(Store(server), memory, partitions, limits)


@lru_cache
def _settings(partitions: int) -> Settings:
    return Settings(_env_file=None, transport=TransportKind.MEMORY, kafka_partitions=partitions)


def _end(world: World, loop: SimulatedLoop) -> None:
    for process in world.processes:
        if process.life is not None:
            process.life.end("the end of the world")
    while tasks := asyncio.all_tasks(loop):
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.wait(tasks))
    loop.close()


def _digest(world: World) -> str:
    found = sha256()
    for topic in TOPICS:
        for record in world.left().records(topic.name):
            found.update(repr(record).encode())
    return found.hexdigest()


@contextmanager
def _silent() -> Iterator[None]:
    """Log nothing: the faults are meant, and the trace tells them."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
