"""`taskflow migrate`: the database's schema, forward, back, and where it is."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from schemas import codec
from schemas.settings import load_settings
from streams.cli.commands import Commands, add
from streams.cli.noting import noted
from streams.operators.asking import ask
from streams.store.database import Database, open_database
from streams.store.migrations import (
    Migration,
    load_migrations,
    migrate_down,
    migrate_up,
    migration_states,
)


def add_commands(commands: Commands) -> None:
    """Add `migrate up|down|status`."""
    about = "Change the database's schema, or show where it is."
    parser = commands.add_parser("migrate", help=about, description=about)
    steps = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add(steps, "up", _up, "Apply every step that is missing.")
    down = add(steps, "down", _down, "Undo the newest step, or all above a number. Loses data.")
    down.add_argument("--to", type=int, metavar="N", help="undo all steps above N; 0 undoes all")
    down.add_argument("--yes", action="store_true", help="do not ask")
    down.add_argument("--dry-run", action="store_true", help="only show what would be undone")
    status = add(steps, "status", _status, "Show each step, and whether it is applied.")
    status.add_argument("--json", action="store_true", help="as JSON, for programs")


def _up(_: argparse.Namespace) -> int:
    async def work() -> Sequence[Migration]:
        async with _database() as database:
            steps = await migrate_up(database)
        if steps:
            # Behind it, since the log itself is one of the steps.
            numbers = [step.number for step in steps]
            async with noted(load_settings(), "migrate up", {"applied": numbers}):
                pass
        return steps

    _tell("applied", asyncio.run(work()))
    return 0


def _down(arguments: argparse.Namespace) -> int:
    async def count() -> int:
        async with _database() as database:
            return sum(state.applied for state in await migration_states(database))

    async def work(target: int) -> Sequence[Migration]:
        arguments = {"down_to": target}
        async with noted(load_settings(), "migrate down", arguments), _database() as database:
            return await migrate_down(database, target)

    target = asyncio.run(count()) - 1 if arguments.to is None else arguments.to
    names = ", ".join(
        f"{step.number:04} {step.name}" for step in load_migrations() if step.number > target
    )
    if names:
        print(f"This drops the tables of {names}, with all that is in them.")
    if arguments.dry_run:
        print("Nothing was done: --dry-run.")
        return 0
    if names:
        ask("Go on?", yes=arguments.yes)
    _tell("undone", asyncio.run(work(max(0, target))))
    return 0


def _status(arguments: argparse.Namespace) -> int:
    async def work() -> list[dict[str, object]]:
        async with _database() as database:
            return [
                {"number": s.migration.number, "name": s.migration.name, "applied": s.applied}
                for s in await migration_states(database)
            ]

    states = asyncio.run(work())
    if arguments.json:
        print(codec.encode(states).decode())
    else:
        for state in states:
            word = "applied" if state["applied"] else "missing"
            print(f"{state['number']:04} {word}  {state['name']}")
    return 0


def _tell(done: str, steps: Sequence[Migration]) -> None:
    for step in steps:
        print(f"{step.number:04} {step.name}: {done}")
    if not steps:
        print("Nothing to do.")


@asynccontextmanager
async def _database() -> AsyncIterator[Database]:
    async with open_database(load_settings().required_database_url(), pool_size=1) as database:
        yield database
