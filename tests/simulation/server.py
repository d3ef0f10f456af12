"""The real PostgreSQL, asked for one thing at a time, with the simulation's clock as its own.

A statement is waited for before anything else happens, so that effects come in the order in which
they were asked for. One that waits for a lock of another session is left alone until it has that.
The server reads the time from a file: telling it by a statement would take as long again.
"""

import asyncio
import mmap
import os
from asyncio import events
from collections.abc import Coroutine
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import asyncpg

from streams.store.database import Row, open_database
from streams.store.migrations import migrate_up

T = TypeVar("T")
ANSWER_S = 0.004
"""An answer that takes longer may be waiting for a lock; then it is asked whether it does."""
ANSWER_S_MAX = 20.0
VACUUM_EVERY = 200
_DIGITS = 16
_DECOY = 1_800_000_000_000_000

_SCHEMA = """
CREATE SCHEMA sim;
ALTER DATABASE "{name}" SET search_path = sim, pg_catalog;
CREATE FUNCTION sim.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE RETURN
    timestamptz 'epoch' + pg_read_file('{clock}')::bigint * interval '1 microsecond';
CREATE FUNCTION sim.now() RETURNS timestamptz LANGUAGE sql STABLE RETURN sim.clock_timestamp();
CREATE SEQUENCE sim.ids;
CREATE FUNCTION sim.gen_random_uuid() RETURNS uuid LANGUAGE sql VOLATILE RETURN
    md5(nextval('sim.ids')::text)::uuid;"""

_WITNESS = """
-- Without a key: what is done twice is seen twice.
CREATE TABLE sim.witnessed (partition integer NOT NULL, "offset" bigint NOT NULL);
CREATE TABLE sim.wrong (what text NOT NULL);
CREATE FUNCTION sim.note_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO sim.wrong VALUES (format('the ledger of %s went back from %s to %s', old.app,
                                         old.next_offset, new.next_offset));
    RETURN NULL;
END $$;
CREATE TRIGGER ledger_goes_back AFTER UPDATE ON stream_offsets
    FOR EACH ROW WHEN (new.next_offset < old.next_offset) EXECUTE FUNCTION sim.note_going_back();"""

_CLEAN = """
DELETE FROM users; DELETE FROM outbox; DELETE FROM reminder_firings;
DELETE FROM reminders; DELETE FROM stream_offsets; DELETE FROM relay_positions;
DELETE FROM audit_entries; DELETE FROM audit_heads; DELETE FROM dead_letters;
DELETE FROM witnessed; DELETE FROM wrong; DELETE FROM notifications;
UPDATE relay_lease SET holder = NULL, epoch = 0, expires_at = '-infinity';
ALTER SEQUENCE outbox_seq_seq RESTART; ALTER SEQUENCE ids RESTART;"""


class Clock:
    """A number in a file: microseconds since 1970."""

    def __init__(self, path: Path) -> None:
        path.write_text(str(_DECOY))
        path.chmod(0o644)
        self.path = path
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _DIGITS)
        self._shown = 0

    def show(self, now_us: int) -> None:
        """Set it."""
        if now_us != self._shown:
            self._memory[:] = b"%016d" % now_us
            self._shown = now_us


class Server:
    """Connections to one database, and a loop of their own, which runs only while one is asked."""

    def __init__(self, url: str, clock: Clock) -> None:
        self.url = url
        self.clock = clock
        self.loop = asyncio.SelectorEventLoop()
        self._idle: list[asyncpg.Connection[Row]] = []
        self._monitor = self.ask(asyncpg.connect(url))
        self._seeds = 0

    def ask(self, work: Coroutine[object, object, T]) -> T:
        """Run something to its end."""
        task = self.begin(work)
        self._run(task, ANSWER_S_MAX)
        return task.result()

    def begin(self, work: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        """Begin something; `advance` goes on with it."""
        return self.loop.create_task(work)

    def advance(self, task: "asyncio.Task[Any]", connection: "asyncpg.Connection[Row]") -> bool:
        """Wait until a task is done, and give True, or until its statement waits for a lock."""
        until = monotonic() + ANSWER_S_MAX
        while not self._run(task, ANSWER_S):
            if self.blockers(connection):
                return False
            if monotonic() > until:
                raise TimeoutError("the real server does not answer")
        return True

    def blockers(self, connection: "asyncpg.Connection[Row]") -> list[int]:
        """Give the sessions whose locks a connection's statement waits for."""
        pid = connection.get_server_pid()
        found: list[int] = self.ask(self._monitor.fetchval("SELECT pg_blocking_pids($1)", pid))
        return found

    def cancel(self, connection: "asyncpg.Connection[Row]") -> None:
        """Cancel the statement that runs on a connection."""
        pid = connection.get_server_pid()
        self.ask(self._monitor.fetchval("SELECT pg_cancel_backend($1)", pid))

    def take(self) -> "asyncpg.Connection[Row]":
        """Give a connection; who is simulated as a new one is an old one, made clean."""
        return self._idle.pop() if self._idle else self.ask(asyncpg.connect(self.url))

    def give_back(self, connection: "asyncpg.Connection[Row]") -> None:
        """Take a connection back, and roll back what is open on it."""
        if connection.is_in_transaction():
            self.ask(connection.execute("ROLLBACK"))
        self._idle.append(connection)

    def fetch(self, sql: str, *parameters: object) -> list[Row]:
        """Run a statement for the simulation itself."""
        return self.ask(self._monitor.fetch(sql, *parameters))

    def clean(self) -> None:
        """Forget all that a world has left."""
        self.ask(self._monitor.execute(_CLEAN))
        self._seeds += 1
        if self._seeds % VACUUM_EVERY == 0:
            self.ask(self._monitor.execute("VACUUM"))

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._idle, self._monitor):
            self.ask(connection.close())
        self.loop.close()

    def _run(self, task: "asyncio.Task[Any]", for_s: float) -> bool:
        """Run the real loop inside of the simulated one, for a moment, until a task is done."""
        outer = events._get_running_loop()
        until = monotonic() + for_s
        alarm = self.loop.call_later(for_s, lambda: None)
        events._set_running_loop(self.loop)
        try:
            while not task.done() and monotonic() < until:
                self.loop._run_once()  # type: ignore[attr-defined]  # as run_forever does
        finally:
            events._set_running_loop(outer)
            alarm.cancel()
        return task.done()


def make_server(make_database: "Any", folder: Path, name: str = "simulation") -> Server:
    """Make a database whose functions of time read the simulation's clock, and connect to it."""
    url: str = make_database(name)
    clock = Clock(folder / f"{name}-{os.getpid()}.clock")

    async def prepare() -> None:
        connection = await asyncpg.connect(url)
        await connection.execute(_SCHEMA.format(name=name, clock=clock.path))
        await connection.close()
        async with open_database(url, pool_size=1) as database:
            await migrate_up(database)
        connection = await asyncpg.connect(url)
        await connection.execute(_WITNESS)
        await connection.close()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(prepare())
    loop.close()
    return Server(url, clock)
