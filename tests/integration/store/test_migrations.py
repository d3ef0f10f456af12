"""Migrations go up and down without a trace, one process at a time, each step whole."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from secrets import token_hex

import pytest

from streams.store import migrations
from streams.store.database import Database, StoreError, open_database
from streams.store.migrations import (
    Migration,
    MigrationError,
    load_migrations,
    migrate_down,
    migrate_up,
    migration_states,
)
from tests.servers import Servers

_SCHEMA = """
    SELECT 'column' AS kind, table_name || '.' || column_name AS name,
           concat_ws(' ', data_type, is_nullable, column_default, is_identity, identity_generation,
                     is_generated, generation_expression, collation_name) AS what
      FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL
    SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid)
      FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'index', tablename || '.' || indexname, indexdef FROM pg_indexes
     WHERE schemaname = 'public'
    UNION ALL
    SELECT 'function', oid::regprocedure::text, pg_get_functiondef(oid) FROM pg_proc
     WHERE pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'relation', relname, concat_ws(' ', relkind, reloptions::text) FROM pg_class
     WHERE relnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'type', typname, typtype::text FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(oid) FROM pg_trigger
     WHERE NOT tgisinternal"""

Schema = frozenset[tuple[str, str, str]]


async def schema_of(database: Database) -> Schema:
    """Give all that a migration may have made, but for the table that counts them."""
    rows = await database.fetch(_SCHEMA)
    found = {(row["kind"], row["name"], row["what"]) for row in rows}
    return frozenset(item for item in found if "schema_migrations" not in item[1])


@pytest.fixture
async def empty(servers: Servers) -> AsyncIterator[Database]:
    """Give a database without any table."""
    async with open_database(servers.postgres.make_database(f"empty_{token_hex(6)}")) as database:
        yield database


async def test_each_step_down_gives_the_schema_that_was_before_its_step_up(
    empty: Database, database: Database
) -> None:
    """Columns, constraints, indexes, functions, types and storage options are compared."""
    steps = load_migrations()
    before = [await schema_of(empty)]
    for step in steps:
        async with empty.transaction() as session:
            await session.run_script(step.up)
        before.append(await schema_of(empty))
    assert len(set(before)) == len(steps) + 1
    for step in reversed(steps):
        assert await schema_of(database) == before[step.number]
        assert await migrate_down(database, step.number - 1) == [step]
    assert await schema_of(database) == before[0] == frozenset()
    assert await migrate_up(database) == steps
    assert await schema_of(database) == before[-1]


async def test_up_again_does_nothing_and_states_tell_what_is_applied(database: Database) -> None:
    assert await migrate_up(database) == []
    await migrate_down(database, 2)
    assert [state.applied for state in await migration_states(database)] == [
        migration.number <= 2 for migration in load_migrations()
    ]
    assert await migrate_down(database, 2) == []


async def test_those_that_migrate_at_once_take_turns(empty: Database) -> None:
    """Each step is applied by one of them, and none of them fails."""
    results = await asyncio.gather(*(migrate_up(empty) for _ in range(4)))
    applied = sorted(step.number for result in results for step in result)
    assert applied == [step.number for step in load_migrations()]


async def test_a_step_that_fails_changes_nothing(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those before it stay, and it is tried again by the next run."""
    bad = Migration(2, "bad", "CREATE TABLE half (n integer); SELECT 1/0;", "DROP TABLE half;")
    good = Migration(1, "good", "CREATE TABLE whole (n integer);", "DROP TABLE whole;")
    monkeypatch.setattr(migrations, "load_migrations", lambda: [good, bad])
    with pytest.raises(StoreError):
        await migrate_up(empty)
    tables = {name for kind, name, _ in await schema_of(empty) if kind == "relation"}
    assert tables == {"whole"}
    assert [state.applied for state in await migration_states(empty)] == [True, False]
    mended = Migration(2, "bad", "CREATE TABLE half (n integer);", bad.down)
    monkeypatch.setattr(migrations, "load_migrations", lambda: [good, mended])
    assert await migrate_up(empty) == [mended]


MOVES: tuple[Callable[[Database], Awaitable[object]], ...] = (
    migrate_up,
    migration_states,
    partial(migrate_down, target=0),
)


@pytest.mark.parametrize("move", MOVES, ids=["up", "states", "down"])
async def test_a_database_of_a_newer_program_is_refused(
    database: Database, move: Callable[[Database], Awaitable[object]]
) -> None:
    """The sentence says where the database is, how far this program goes, and what to run."""
    known = len(load_migrations())
    await database.fetch(
        "INSERT INTO schema_migrations (number, name) VALUES ($1, 'from_the_future')", known + 1
    )
    schema = await schema_of(database)
    expected = (
        f"the database is at migration {known + 1}, and this program knows none above {known}:"
        " run the version of TaskFlow that made it"
    )
    with pytest.raises(MigrationError) as raised:
        await move(database)
    assert str(raised.value) == expected
    assert await schema_of(database) == schema
