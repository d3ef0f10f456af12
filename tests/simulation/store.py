"""The door to PostgreSQL, as one process has it: a pool whose statements take their turns."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypeVar, cast

import asyncpg

from streams.store.database import Database, Row
from tests.simulation.chance import Fault
from tests.simulation.process import Life
from tests.simulation.server import Server

T = TypeVar("T")

LOCK_S_MAX = 4.0
IDLE_S_MAX = 5.0
"""As the server's `lock_timeout` and `idle_in_transaction_session_timeout`, by the fake clock."""

HEARS_S_MAX = 3.0
"""How long a connection that listens lives, if chance lets it end."""

_TARGET = re.compile(r"(?:INSERT INTO|UPDATE|DELETE FROM|FROM) ([a-z_]+)")


@lru_cache(maxsize=512)
def label(sql: str) -> str:
    """Name a statement shortly."""
    words = " ".join(sql.split())
    return f"{words.split(' ', 1)[0]} {'+'.join(dict.fromkeys(_TARGET.findall(words)))}"[:70]


@dataclass
class Waiting:
    """A statement that waits for another session's lock."""

    task: "asyncio.Task[Any]"
    connection: "asyncpg.Connection[Row]"
    answered: "asyncio.Future[None]"

    def answer(self, server: Server) -> None:
        """Tell whoever waits; a connection that nobody has any more is taken back."""
        if self.answered.cancelled():
            self.task.exception()
            server.give_back(self.connection)
        elif not self.answered.done():
            self.answered.set_result(None)


@dataclass
class Store:
    """The one server of a world: who waits in it, and who listens."""

    server: Server
    waiting: list[Waiting] = field(default_factory=list)
    listeners: list[tuple[Life, str, Callable[..., None]]] = field(default_factory=list)

    def settle(self) -> None:
        """Let those go on that wait for a lock no more."""
        for waiting in tuple(self.waiting):
            still = self.server.blockers(waiting.connection)
            if not still and self.server.advance(waiting.task, waiting.connection):
                self.waiting.remove(waiting)
                waiting.answer(self.server)

    def notify(self, life: Life, channel: str) -> None:
        """Wake who listens, a little later, or never: a notification may be lost."""
        chance = life.chance
        for listener, heard, wake in tuple(self.listeners):
            if heard == channel and listener.alive and not chance.strikes(Fault.REFUSED):
                listener.spawn(_after(chance.latency_s(), lambda wake=wake: wake("")))

    def give_back(self, connection: "asyncpg.Connection[Row]") -> None:
        """End a session, now, or when what it waits for has come; its lock is free then."""
        waiting = next((one for one in self.waiting if one.connection is connection), None)
        if waiting is not None and not connection.is_in_transaction():
            # The server does not notice that nobody waits, and does what it was asked for.
            waiting.answered.cancel()
            return
        if waiting is not None:
            self.give_up(waiting)
        self.server.give_back(connection)
        self.settle()

    def give_up(self, waiting: Waiting) -> None:
        """Cancel a statement if it still waits; its outcome is known then."""
        if waiting in self.waiting:
            self.waiting.remove(waiting)
            self.server.cancel(waiting.connection)
            self.server.advance(waiting.task, waiting.connection)
            waiting.answer(self.server)


async def _after(wait_s: float, call: Callable[..., None]) -> None:
    await asyncio.sleep(wait_s)
    call()


@dataclass(eq=False)
class SimulatedConnection:
    """A session, as asyncpg's connection shows it to `streams.store.database`."""

    life: Life
    store: Store
    real: "asyncpg.Connection[Row]"
    open: bool = True
    _in_transaction: bool = False
    _idle: asyncio.TimerHandle | None = None

    async def fetch(self, sql: str, *parameters: object) -> list[Row]:
        rows = await self._ask(label(sql), lambda: self.real.fetch(sql, *parameters))
        if "pg_notify" in sql:
            self.store.notify(self.life, str(parameters[0]))
        return rows

    async def fetchrow(self, sql: str, *parameters: object) -> Row | None:
        return await self._ask(label(sql), lambda: self.real.fetchrow(sql, *parameters))

    async def execute(self, sql: str) -> str:
        return await self._ask(label(sql), lambda: self.real.execute(sql))

    @asynccontextmanager
    async def transaction(self, **_: object) -> AsyncIterator[None]:
        await self._ask("BEGIN", lambda: self.real.execute("BEGIN"))
        self._in_transaction = True
        try:
            yield
            await self._ask("COMMIT", lambda: self.real.execute("COMMIT"))
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_transaction = False
            self._note_busy()

    async def add_listener(self, channel: str, wake: Callable[..., None]) -> None:
        await self.life.turn("LISTEN")
        self.store.listeners.append((self.life, channel, wake))
        chance = self.life.chance
        if chance.strikes(Fault.REFUSED):
            self._server_timer(chance.between(0, HEARS_S_MAX), self.close)

    async def remove_listener(self, _channel: str, wake: Callable[..., None]) -> None:
        self.store.listeners = [one for one in self.store.listeners if one[2] is not wake]

    def is_closed(self) -> bool:
        return not self.open

    def terminate(self) -> None:
        self.close()

    def close(self) -> None:
        """End the session: what is open is rolled back."""
        if self.open:
            self.open = False
            self._note_busy()
            self.store.give_back(self.real)

    async def _ask(self, what: str, work: Callable[[], Coroutine[object, object, T]]) -> T:
        self._note_busy()
        await self.life.turn(what)
        self._require_open()
        chance = self.life.chance
        if chance.strikes(Fault.REFUSED):
            self._break(f"{what} is refused")
        answer = await self._done(what, work)
        if chance.strikes(Fault.UNANSWERED):
            self._break(f"{what} is done, and not answered")
        await self.life.turn(f"the answer to {what}")
        self._require_open()
        if self._in_transaction:
            self._idle = self._server_timer(IDLE_S_MAX, self._end_idle)
        return answer

    async def _done(self, what: str, work: Callable[[], Coroutine[object, object, T]]) -> T:
        server, stage = self.store.server, self.life.stage
        server.clock.show(stage.now_us())
        task = server.begin(work())
        if not server.advance(task, self.real):
            stage.note(self.life.name, f"{what} waits for a lock")
            await self._unlocked(task)
        error = task.exception()
        told = type(error).__name__ if error else _told(task.result())
        stage.note(self.life.name, f"{what}: {told}")
        if self.store.waiting and not self.real.is_in_transaction():
            self.store.settle()
        return task.result()

    async def _unlocked(self, task: "asyncio.Task[Any]") -> None:
        waiting = Waiting(task, self.real, self.life.stage.loop.create_future())
        self.store.waiting.append(waiting)
        timer = self._server_timer(LOCK_S_MAX, lambda: self.store.give_up(waiting))
        try:
            await waiting.answered
        finally:
            timer.cancel()
            if self.open:
                self.store.give_up(waiting)

    def _server_timer(self, wait_s: float, due: Callable[[], None]) -> asyncio.TimerHandle:
        """Let the server do something later, whether or not this process stands still."""
        return Context().run(self.life.stage.loop.call_later, wait_s, due)

    def _break(self, what: str) -> None:
        self.life.stage.note(self.life.name, what)
        self.close()
        raise asyncpg.ConnectionDoesNotExistError(what)

    def _require_open(self) -> None:
        self.life.require_alive()
        if not self.open:
            raise asyncpg.InterfaceError("the connection is closed")

    def _roll_back(self) -> None:
        if self.open and self.real.is_in_transaction():
            self.store.server.ask(self.real.execute("ROLLBACK"))
            self.store.settle()

    def _note_busy(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    def _end_idle(self) -> None:
        self.life.stage.note(self.life.name, "is cut off: idle in a transaction for too long")
        self.close()


def _told(answer: object) -> str:
    match answer:
        case list():
            return f"{len(answer)} rows"
        case None:
            return "no row"
        case str():
            return answer
        case _:
            return "a row"


@dataclass
class SimulatedPool:
    """As many connections as a process may have at once, as asyncpg's pool shows them."""

    life: Life
    store: Store
    places: asyncio.Semaphore
    _open: dict[SimulatedConnection, None] = field(default_factory=dict)

    async def acquire(self, *, timeout: float) -> SimulatedConnection:  # noqa: ASYNC109
        async with asyncio.timeout(timeout):
            await self.places.acquire()
        self.life.require_alive()
        connection = SimulatedConnection(self.life, self.store, self.store.server.take())
        self._open[connection] = None
        return connection

    async def release(
        self,
        connection: SimulatedConnection,
        *,
        timeout: float,  # noqa: ARG002, ASYNC109
    ) -> None:
        self.places.release()
        self._open.pop(connection, None)
        connection.close()

    def close(self) -> None:
        """Close all, as the kernel does for a process that has ended."""
        for connection in self._open:
            connection.close()


def open_store(life: Life, store: Store, pool_size: int) -> Database:
    """Give a process its door to the database."""
    pool = SimulatedPool(life, store, asyncio.Semaphore(pool_size))
    life.closing.append(pool.close)
    return Database(cast("asyncpg.Pool[Row]", pool))
