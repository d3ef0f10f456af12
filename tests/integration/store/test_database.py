"""The door to PostgreSQL: faults, limits in force, and nothing of a user's in its errors."""

import asyncio
import traceback
from collections.abc import AsyncIterator
from time import monotonic
from uuid import UUID, uuid4

import asyncpg
import pytest

from schemas.settings import Settings
from streams.store import database as door
from streams.store.database import Database, Fault, Session, StoreError, fault_of, open_database
from tests.integration.store.freezing import frozen
from tests.servers import Servers
from tests.waiting import eventually

SECRET = "dentist-at-nine"


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Database]:
    """Give a second pool on the same database."""
    async with open_database(database_url, pool_size=2) as database:
        yield database


def name_of(settings: Settings) -> str:
    return settings.required_database_url().rpartition("/")[2]


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT 'x'::text::integer", Fault.DATA),
        ("SELECT 1/0", Fault.DATA),
        ("INSERT INTO tags (id) VALUES (gen_random_uuid())", Fault.DATA),
        ("SELECT * FROM nowhere", Fault.SETUP),
        ("SELEC", Fault.SETUP),
        ("SET ROLE nobody_of_that_name", Fault.DATA),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '28000'; END $$", Fault.SETUP),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '3D000'; END $$", Fault.SETUP),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '42501'; END $$", Fault.SETUP),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '08006'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '25006'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40P01'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '53300'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '55P03'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '57P01'; END $$", Fault.TRANSIENT),
        ("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX000'; END $$", Fault.UNKNOWN),
    ],
)
async def test_the_sqlstate_says_what_a_failure_means(
    database: Database, sql: str, fault: Fault
) -> None:
    with pytest.raises(StoreError) as raised:
        await database.fetch(sql)
    assert raised.value.fault is fault


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (ConnectionResetError(), Fault.TRANSIENT),
        (TimeoutError(), Fault.TRANSIENT),
        (asyncpg.ConnectionDoesNotExistError(), Fault.TRANSIENT),
        (asyncpg.InterfaceError("connection is closed"), Fault.TRANSIENT),
        (asyncpg.InternalClientError("unexpected state"), Fault.TRANSIENT),
        (asyncpg.DataError("wrong type"), Fault.DATA),
        (RuntimeError(), Fault.UNKNOWN),
    ],
)
def test_a_broken_connection_is_transient(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


async def test_nothing_of_a_users_values_is_in_an_error_or_its_traceback(
    database: Database,
) -> None:
    """Neither what PostgreSQL quotes, nor its detail, nor what the driver quotes itself."""
    user = uuid4()
    await database.fetch("CREATE TABLE secrets (id uuid, note text UNIQUE CHECK (note <> ''))")
    await database.fetch("INSERT INTO secrets VALUES ($1, $2)", user, SECRET)
    for sql, parameters in (
        ("SELECT $1::text::integer", (SECRET,)),
        ("SELECT $1::text::jsonb", (SECRET,)),
        ("SELECT $1::text::timestamptz", (SECRET,)),
        ("SELECT $1::integer", (SECRET,)),
        ("SELECT $1::uuid[]", ([SECRET],)),
        ("INSERT INTO secrets VALUES ($1, $2)", (user, SECRET)),
        ("ALTER TABLE secrets ADD CHECK (note = 'x')", ()),
        ("SELECT note::integer FROM secrets", ()),
    ):
        with pytest.raises(StoreError) as raised:
            await database.fetch(sql, *parameters)
        assert raised.value.fault is Fault.DATA
        shown = "".join(traceback.format_exception(raised.value))
        assert SECRET not in shown, sql


async def test_a_refused_value_names_its_constraint(database: Database) -> None:
    """So that a caller can tell a taken address from another rule."""
    with pytest.raises(StoreError) as raised:
        await database.fetch(
            "INSERT INTO todo_tags (todo_id, tag_id) VALUES ($1, $2)", uuid4(), uuid4()
        )
    assert raised.value.constraint == "todo_tags_todo_id_fkey"
    assert "23503" in str(raised.value)


async def test_the_servers_limits_are_in_force(database: Database) -> None:
    """For a single statement and inside of a transaction."""
    wanted = {
        "statement_timeout": "8s",
        "lock_timeout": "4s",
        "idle_in_transaction_session_timeout": "5s",
        "TimeZone": "UTC",
    }
    for name, value in wanted.items():
        row = await database.fetchrow("SELECT current_setting($1) AS value", name)
        assert row is not None
        assert row["value"] == value, name


@pytest.fixture
async def hasty(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    """Give a pool with the same limits, each a small part of what it is."""
    assert door._SERVER_SETTINGS.keys() >= HASTY.keys()
    monkeypatch.setattr(door, "_SERVER_SETTINGS", door._SERVER_SETTINGS | HASTY)
    async with open_database(database_url, pool_size=2) as database:
        yield database


HASTY = {
    "statement_timeout": "600ms",
    "lock_timeout": "200ms",
    "idle_in_transaction_session_timeout": "300ms",
}


async def test_a_session_that_sleeps_in_a_transaction_frees_its_rows(
    hasty: Database, other: Database
) -> None:
    """Its next statement fails as transient, and another session has the row meanwhile."""

    async def row_is_free() -> bool:
        return bool(await other.fetch("SELECT 1 FROM relay_lease FOR UPDATE SKIP LOCKED"))

    async def sleep() -> None:
        async with hasty.transaction() as session:
            await session.fetch("SELECT 1 FROM relay_lease FOR UPDATE")
            assert not await row_is_free()
            await eventually(row_is_free, 5, "the row is free")
            await session.fetch("SELECT 1")

    with pytest.raises(StoreError) as raised:
        await sleep()
    assert raised.value.fault is Fault.TRANSIENT
    await hasty.check()


async def test_who_waits_for_a_locked_row_is_told_in_time(hasty: Database, other: Database) -> None:
    async with other.transaction() as holder:
        await holder.fetch("SELECT 1 FROM relay_lease FOR UPDATE")
        with pytest.raises(StoreError, match="55P03") as raised:
            await hasty.fetch("SELECT 1 FROM relay_lease FOR UPDATE")
    assert raised.value.fault is Fault.TRANSIENT


async def test_a_slow_statement_is_ended_by_the_server(hasty: Database) -> None:
    with pytest.raises(StoreError, match="57014") as raised:
        await hasty.fetch("SELECT pg_sleep(5)")
    assert raised.value.fault is Fault.TRANSIENT


async def test_a_server_that_does_not_speak_up_is_given_up_by_the_driver(
    servers: Servers, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A statement ends within the driver's limit and the clean-up's, as transient."""
    monkeypatch.setattr(door, "COMMAND_S_MAX", 0.5)
    async with open_database(settings.required_database_url(), pool_size=1) as database:
        await database.check()
        began_at = monotonic()
        with frozen(servers, name_of(settings)):
            with pytest.raises(StoreError) as raised:
                await database.check()
            assert raised.value.fault is Fault.TRANSIENT
            assert monotonic() - began_at < 2.5
        await database.check()


async def test_an_exhausted_pool_is_told_within_its_limit(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "ACQUIRE_S_MAX", 0.3)
    async with open_database(database_url, pool_size=1) as database, database.transaction():
        began_at = monotonic()
        with pytest.raises(StoreError) as raised:
            await database.check()
        assert raised.value.fault is Fault.TRANSIENT
        assert monotonic() - began_at < 1


async def test_a_cancelled_statement_ends_on_the_server_too(
    database: Database, other: Database
) -> None:
    """And its connection is used again."""
    asleep = asyncio.create_task(database.fetch("SELECT pg_sleep(7) /* cancel me */"))

    async def runs(*, wanted: bool) -> bool:
        rows = await other.fetch(
            """SELECT 1 FROM pg_stat_activity
                WHERE state = 'active' AND query LIKE '%cancel me%' AND pid <> pg_backend_pid()"""
        )
        return bool(rows) == wanted

    await eventually(lambda: runs(wanted=True), 5, "the statement runs")
    asleep.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asleep
    await eventually(lambda: runs(wanted=False), 2, "the statement has ended")
    await database.check()


async def test_a_failed_transaction_is_rolled_back(database: Database) -> None:
    """Whatever the error is, the error of the body is what its caller sees."""

    async def fail(session: Session) -> None:
        await session.fetch("UPDATE relay_lease SET epoch = 99")
        raise LookupError("a caller's own error")

    with pytest.raises(LookupError):
        async with database.transaction() as session:
            await fail(session)
    row = await database.fetchrow("SELECT epoch FROM relay_lease")
    assert row is not None
    assert row["epoch"] == 0


async def test_cancellation_goes_on_though_the_database_does_not_answer(
    servers: Servers, settings: Settings
) -> None:
    """It is neither turned into an error nor held up for longer than a connection's clean-up."""
    url = settings.required_database_url()
    async with open_database(url, pool_size=2) as database:
        await database.check()
        heard = asyncio.Event()

        async def listen() -> None:
            async with database.listening("anything", heard.set):
                ready.set()
                await asyncio.Event().wait()

        async def ask() -> None:
            await database.fetch("SELECT pg_sleep(0.2)")
            await database.fetch("SELECT pg_sleep(60)")

        ready = asyncio.Event()
        tasks = [asyncio.create_task(listen()), asyncio.create_task(ask())]
        await ready.wait()
        with frozen(servers, name_of(settings)):
            began_at = monotonic()
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results), results
            assert monotonic() - began_at < 4


async def test_a_listener_knows_when_it_hears_nothing_any_more(
    database: Database, other: Database
) -> None:
    """Its connection was ended, so what is notified afterwards is lost to it."""
    heard = asyncio.Event()
    async with database.listening("outbox", heard.set) as hears:
        await other.fetch("SELECT pg_notify('outbox', '')")
        await asyncio.wait_for(heard.wait(), 5)
        assert hears()
        await other.fetch(
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()"""
        )

        async def deaf() -> bool:
            return not hears()

        await eventually(deaf, 5, "the listener knows that it is deaf")
    async with database.listening("outbox", heard.set) as hears:
        assert hears()


async def test_a_statement_survives_a_change_of_its_result(database: Database) -> None:
    """A prepared statement whose plan is void is transient, so that its transaction is retried."""
    await database.fetch("CREATE TABLE growing AS SELECT 1 AS n")

    async def read(number: int) -> UUID | None:
        async with database.transaction() as session:
            await session.fetch("SELECT * FROM growing")
            assert number < 2
        return None

    await read(0)
    await database.fetch("ALTER TABLE growing ADD COLUMN text text")
    with pytest.raises(StoreError) as raised:
        await read(1)
    assert raised.value.fault is Fault.TRANSIENT
    await read(1)
