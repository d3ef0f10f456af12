"""Migrations: numbered pairs of SQL, each applied in one transaction, one process at a time."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streams.store.database import Database, Session

FOLDER = Path(__file__).parent / "migrations"
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.up\.sql")
STEP_S_MAX = 3_600.0
"""A step may write a large table anew; other statements have seconds."""
_PATIENCE = f"SET LOCAL statement_timeout = '{STEP_S_MAX:.0f}s'"
_LOCK = "SELECT pg_advisory_xact_lock(7234918265)"
"""Held to the end of each step's transaction: two that migrate at once take turns."""

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    number     integer PRIMARY KEY,
    name       text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)"""


class MigrationError(RuntimeError):
    """The database is not where this program can take it from; the message says where it is."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema."""

    number: int
    name: str
    up: str
    down: str


@dataclass(frozen=True, slots=True)
class State:
    """A step, and whether this database has it."""

    migration: Migration
    applied: bool


def load_migrations(folder: Path = FOLDER) -> Sequence[Migration]:
    """Read all pairs in order; a number that is missing or taken twice is an error."""
    found = sorted(path for path in folder.glob("*.up.sql"))
    migrations = [_load(path) for path in found]
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise MigrationError(f"the migrations in {folder.name}/ are not numbered 1, 2, 3, …")
    return migrations


def _load(path: Path) -> Migration:
    match = _NAME.fullmatch(path.name)
    if match is None:
        raise MigrationError(f"{path.name} is not named like 0001_what_it_is.up.sql")
    down = path.with_name(path.name.replace(".up.sql", ".down.sql"))
    return Migration(int(match[1]), match[2], path.read_text(), down.read_text())


async def migrate_up(database: Database) -> Sequence[Migration]:
    """Apply each step that is missing, and give those; a failed step changes nothing."""
    applied = []
    for migration in load_migrations():
        async with database.transaction() as session:
            count = await _begin(session)
            if migration.number <= count:
                continue
            await _run(session, migration.up)
            await session.fetch(
                "INSERT INTO schema_migrations (number, name) VALUES ($1, $2)",
                migration.number,
                migration.name,
            )
        applied.append(migration)
    return applied


async def migrate_down(database: Database, target: int) -> Sequence[Migration]:
    """Undo each step above `target`, the newest first, and give those."""
    undone = []
    for migration in reversed(load_migrations()):
        async with database.transaction() as session:
            count = await _begin(session)
            if migration.number <= target or migration.number > count:
                continue
            await _run(session, migration.down)
            await session.fetch("DELETE FROM schema_migrations WHERE number = $1", migration.number)
        undone.append(migration)
    return undone


async def migration_states(database: Database) -> Sequence[State]:
    """Tell of each step whether it is applied."""
    async with database.transaction() as session:
        count = await _begin(session)
    return [State(migration, migration.number <= count) for migration in load_migrations()]


async def _run(session: Session, script: str) -> None:
    await session.fetch(_PATIENCE)
    await session.run_script(script, STEP_S_MAX)


async def _begin(session: Session) -> int:
    """Take the lock and give the number of the newest step; a newer program's is an error."""
    await session.fetch(_LOCK)
    there = await session.fetchrow("SELECT to_regclass('schema_migrations') AS id")
    if there is None or there["id"] is None:  # else who may not make tables may look all the same
        await session.fetch(_TABLE)
    row = await session.fetchrow("SELECT coalesce(max(number), 0) AS newest FROM schema_migrations")
    newest = int(row["newest"]) if row else 0
    if newest > len(load_migrations()):
        raise MigrationError(
            f"the database is at migration {newest}, and this program knows none above"
            f" {len(load_migrations())}: run the version of TaskFlow that made it"
        )
    return newest
