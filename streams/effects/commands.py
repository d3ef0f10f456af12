"""Commands of a worker's own, beside Faust's: `faust -A streams.<worker> <command> …`."""

from collections.abc import Awaitable, Callable
from typing import Any

from faust.cli import AppCommand, option

from schemas.settings import load_settings
from streams.effects.faust_app import WorkerApp
from streams.store.database import open_database

Report = Callable[..., Awaitable[str]]
"""Takes the database and the command's options by their names, and gives what is printed. Its
docstring is the command's help."""


def text_option(name: str, about: str) -> Any:
    """Make an option with a text that must be given; click's decorators have no narrower type."""
    return option(f"--{name}", required=True, help=about)


def flag(name: str, about: str) -> Any:
    """Make an option that is there or not; it is given to the report as `as_<name>`."""
    return option(f"--{name}", f"as_{name}", is_flag=True, help=about)


def add_command(app: WorkerApp, name: str, report: Report, *options: Any) -> None:
    """Add a command that opens the database, and nothing else, for as long as its report takes."""

    async def run(self: AppCommand, **given: Any) -> None:
        url = load_settings().required_database_url()
        async with open_database(url, pool_size=1) as database:
            self.say(await report(database, **given))

    run.__name__ = name
    run.__doc__ = report.__doc__
    app.command(*options)(run)
