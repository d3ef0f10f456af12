"""The one door to PostgreSQL: a pool with limits, and errors that say what to do about them."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from enum import Enum, auto

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Row = asyncpg.Record

POOL_SIZE = 10
ACQUIRE_S_MAX = 3.0
COMMAND_S_MAX = 10.0
"""Longer than the server's own `statement_timeout`, which should speak first."""
RELEASE_S_MAX = 1.0
"""How long a connection may take to become clean again before it is cut off."""

_log = logging.getLogger(__name__)

_SERVER_SETTINGS = {
    "application_name": "taskflow",
    "timezone": "UTC",
    "statement_timeout": "8s",
    "lock_timeout": "4s",
    # A process that is stopped inside of a transaction frees its rows after this.
    "idle_in_transaction_session_timeout": "5s",
}


class Fault(Enum):
    """What a failed statement means for whoever ran it."""

    TRANSIENT = auto()
    """The database is away or busy: the same statement may well succeed later."""
    SETUP = auto()
    """Its schema or its permissions are not what the program expects: a person must act."""
    DATA = auto()
    """The values were refused, and will be every time."""
    UNKNOWN = auto()


class StoreError(Exception):
    """The base of all that this layer raises; its text has nothing of a statement's values.

    It is chained from the driver's own error, but for refused values, which that one quotes.
    """

    def __init__(self, fault: Fault, message: str, constraint: str | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.constraint = constraint


_FAULTS = {
    **dict.fromkeys(("08", "25", "40", "53", "57"), Fault.TRANSIENT),
    **dict.fromkeys(("28", "3D", "42"), Fault.SETUP),
    **dict.fromkeys(("22", "23"), Fault.DATA),
    "55": Fault.TRANSIENT,  # another session had the row for longer than `lock_timeout`
}
"""By class, which is the first two characters of an SQLSTATE (PostgreSQL manual, appendix A)."""


def fault_of(error: BaseException) -> Fault:
    """Sort a driver's error by its SQLSTATE; a broken connection is transient."""
    match error:
        case asyncpg.InvalidCachedStatementError():
            # The schema changed under a prepared statement, which is now forgotten (0A000).
            return Fault.TRANSIENT
        case asyncpg.PostgresError():
            return _FAULTS.get((error.sqlstate or "")[:2], Fault.UNKNOWN)
        case asyncpg.DataError():
            return Fault.DATA
        case OSError() | TimeoutError() | asyncpg.InterfaceError() | asyncpg.InternalClientError():
            return Fault.TRANSIENT
        case _:
            return Fault.UNKNOWN


_DRIVER_ERRORS = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _DRIVER_ERRORS as error:
        fault = fault_of(error)
        constraint = getattr(error, "constraint_name", None)
        cause = None if fault is Fault.DATA else error
        raise StoreError(fault, _text_of(error, fault), constraint) from cause


def _text_of(error: BaseException, fault: Fault) -> str:
    """Say what happened; where values were refused, by the name of the rule and nothing else."""
    sqlstate = getattr(error, "sqlstate", None)
    name = f"{type(error).__name__} ({sqlstate})" if sqlstate else type(error).__name__
    if fault is Fault.DATA:
        names = (getattr(error, f"{what}_name", None) for what in ("table", "column", "constraint"))
        return ": ".join([name, *(part for part in names if part)])
    # Only the first line: the detail behind it may quote a row.
    return f"{name}: {str(error).partition(chr(10))[0]}"


@dataclass(frozen=True, slots=True)
class Session:
    """One connection, in a transaction that ends with the context that gave it."""

    _connection: "PoolConnectionProxy[Row]"

    async def fetch(self, sql: str, *parameters: object) -> list[Row]:
        """Run a statement and give its rows."""
        with _translated():
            return await self._connection.fetch(sql, *parameters)

    async def fetchrow(self, sql: str, *parameters: object) -> Row | None:
        """Run a statement and give its first row."""
        with _translated():
            return await self._connection.fetchrow(sql, *parameters)

    async def pages(self, sql: str, *parameters: object, rows_max: int) -> AsyncIterator[list[Row]]:
        """Run a query and give its rows, `rows_max` at a time; others may run between two pages."""
        with _translated():
            cursor = await self._connection.cursor(sql, *parameters)
        while True:
            with _translated():
                rows = await cursor.fetch(rows_max)
            if rows:
                yield rows
            if len(rows) < rows_max:
                return

    async def run_script(self, sql: str, limit_s: float = COMMAND_S_MAX) -> None:
        """Run several statements without parameters."""
        with _translated():
            await self._connection.execute(sql, timeout=limit_s)


@dataclass(frozen=True, slots=True)
class Database:
    """A pool of connections; each call of its own takes one and is one transaction.

    Every method raises `StoreError`, at the latest after `ACQUIRE_S_MAX` and `COMMAND_S_MAX`. When
    it was transient the statement may have been carried out. Cancellation cancels the statement.
    """

    _pool: "asyncpg.Pool[Row]"

    async def fetch(self, sql: str, *parameters: object) -> list[Row]:
        """Run a statement and give its rows."""
        async with self._connection() as connection:
            return await connection.fetch(sql, *parameters)

    async def fetchrow(self, sql: str, *parameters: object) -> Row | None:
        """Run a statement and give its first row."""
        async with self._connection() as connection:
            return await connection.fetchrow(sql, *parameters)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session]:
        """Open a transaction: committed at the end of the context, rolled back on an error."""
        async with self._connection() as connection, connection.transaction():
            yield Session(connection)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Session]:
        """Open a transaction that only reads, and sees all of it as it was at one instant."""
        async with (
            self._connection() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Session(connection)

    def listening(
        self, channel: str, wake: Callable[[], None]
    ) -> AbstractAsyncContextManager[Callable[[], bool]]:
        """Call `wake` for each NOTIFY on a channel, as `hearing` does, whatever its text."""
        return self.hearing(channel, lambda _: wake())

    @asynccontextmanager
    async def hearing(
        self, channel: str, heard: Callable[[str], None]
    ) -> AsyncIterator[Callable[[], bool]]:
        """Call `heard` with the text of each NOTIFY on a channel; gives what tells if it hears yet.

        A notification may be lost: whoever waits for one needs a slow poll of its own behind it.
        """

        def on_notify(*arguments: object) -> None:
            heard(str(arguments[-1]))  # its connection, process, channel and payload

        async with self._connection() as connection:
            await connection.add_listener(channel, on_notify)
            try:
                yield lambda: _is_open(connection)
            finally:
                await _unlisten(connection, channel, on_notify)

    async def check(self) -> None:
        """Return if the database answers now; raise `StoreError` if it does not."""
        await self.fetchrow("SELECT 1")

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["PoolConnectionProxy[Row]"]:
        with _translated():
            connection = await self._pool.acquire(timeout=ACQUIRE_S_MAX)
            try:
                yield connection
            finally:
                await _release(self._pool, connection)


async def _release(pool: "asyncpg.Pool[Row]", connection: "PoolConnectionProxy[Row]") -> None:
    """Give a connection back; one that does not become clean in time is cut off by the pool.

    It raises nothing for that: what the statement did is decided, and a cancellation goes on.
    """
    try:
        await pool.release(connection, timeout=RELEASE_S_MAX)
    except _DRIVER_ERRORS as error:
        _log.info("a connection was cut off: %s", type(error).__name__)


def _is_open(connection: "PoolConnectionProxy[Row]") -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:
        # The pool has taken it back, which it does at once when a connection ends.
        return False


async def _unlisten(
    connection: "PoolConnectionProxy[Row]", channel: str, callback: Callable[..., None]
) -> None:
    """Stop listening, or cut off the connection of a database that does not answer."""
    if not _is_open(connection):
        return
    try:
        async with asyncio.timeout(RELEASE_S_MAX):
            await connection.remove_listener(channel, callback)
    except _DRIVER_ERRORS:
        connection.terminate()


@asynccontextmanager
async def open_database(url: str, pool_size: int = POOL_SIZE) -> AsyncIterator[Database]:
    """Open a pool; it connects when it is first used, so a database that is away fails no start.

    Closing waits a few seconds for what is running, and then ends it.
    """
    pool = asyncpg.create_pool(
        url,
        min_size=0,
        max_size=pool_size,
        timeout=ACQUIRE_S_MAX,
        command_timeout=COMMAND_S_MAX,
        max_inactive_connection_lifetime=60,
        server_settings=_SERVER_SETTINGS,
    )
    await pool
    try:
        yield Database(pool)
    finally:
        try:
            await asyncio.wait_for(pool.close(), ACQUIRE_S_MAX)
        except (TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            pool.terminate()
