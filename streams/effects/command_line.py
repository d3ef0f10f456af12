"""The command line of every worker's app: what opens, what asks, and what an error looks like."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from schemas.settings import MissingSettingError, Settings
from streams.effects.worker import Worker
from streams.operators.asking import RefusedError
from streams.operators.showing import as_json as to_json
from streams.store.database import Database, StoreError
from streams.store.database import open_database as open_pool
from streams.transport.interface import Transport, TransportError
from streams.transport.opening import open_transport

F = TypeVar("F", bound=Callable[..., Any])
"""A function that becomes a command; click's decorators give back what they take."""
T = TypeVar("T")

POOL_SIZE = 2


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operator's command works with."""

    worker: Worker
    database: Database
    transport: Transport


@dataclass(frozen=True, slots=True)
class Opener:
    """A worker and its settings: what the commands of one app are made with."""

    worker: Worker
    settings: Settings

    def run(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        """Open the database and the log, do the work, and say errors in one sentence."""
        try:
            return asyncio.run(self._run(work))
        except StoreError as error:
            raise click.ClickException(
                f"The database refuses: {error}. `taskflow doctor` says more."
            ) from error
        except TransportError as error:
            raise click.ClickException(
                f"The log does not answer: {error}. `taskflow doctor` says more."
            ) from error
        except (MissingSettingError, RefusedError) as error:
            raise click.ClickException(str(error)) from error

    async def _run(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        async with self._desk() as desk:
            return await work(desk)

    @asynccontextmanager
    async def _desk(self) -> AsyncIterator[Desk]:
        url = self.settings.required_database_url()
        async with (
            open_pool(url, POOL_SIZE) as database,
            open_transport(self.settings) as transport,
        ):
            yield Desk(self.worker, database, transport)


@dataclass(frozen=True, slots=True)
class Told:
    """What a command says in the end, and whether it has changed anything."""

    done: bool
    text: str

    def echo(self, *, as_json: bool) -> None:
        """Write it to standard output."""
        click.echo(to_json({"done": self.done, "text": self.text}) if as_json else self.text)


def json_option(function: F) -> F:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="As JSON, for programs.")(function)


def change_options(function: F) -> F:
    """Add `--yes` and `--dry-run`, which everything has that changes something."""
    yes = click.option("--yes", is_flag=True, help="Do not ask.")
    dry = click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
    return yes(dry(function))
