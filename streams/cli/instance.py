"""`taskflow up`, `down`, `reset`: the instance of this folder."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import time
from datetime import datetime
from pathlib import Path

from honcho.printer import Message, Printer

from schemas.settings import ENV_FILE, Settings
from schemas.topics import TOPICS
from streams.cli.commands import Commands, add
from streams.cli.example import EXAMPLE
from streams.embedded.failure import EmbeddedError
from streams.embedded.instance import Instance, end_instance_leftovers, open_instance
from streams.embedded.lock import hold_lock, lock_holder
from streams.embedded.ports import address
from streams.embedded.supervisor import Supervisor, make_plan
from streams.store.database import open_database
from streams.store.migrations import migrate_up
from streams.transport.opening import open_transport

PROCFILE = Path("Procfile")
DOWN_S_MAX = 60.0
_NAME_WIDTH = 13
_COLOURS = (36, 33, 32, 35, 34, 31)


def add_commands(commands: Commands) -> None:
    """Add `up`, `down` and `reset`."""
    add(commands, "up", _up, "Run everything here, with the servers that no setting names.")
    add(commands, "down", _down, "End the instance that runs from this folder.")
    reset = add(commands, "reset", _reset, "Delete this folder's instance with all its data.")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    reset.add_argument("--dry-run", action="store_true", help="only show what would be deleted")


def _up(_: argparse.Namespace) -> int:
    # Not what a killed instance has left in its own file.
    settings = Settings(_env_file=ENV_FILE)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    screen = _Screen()
    with open_instance(settings, screen.progress) as instance:
        asyncio.run(_prepare(instance.settings))
        plan = make_plan(instance, PROCFILE, screen.show)
        try:
            asyncio.run(
                Supervisor(plan, screen.show).run(lambda: print(_welcome(instance), flush=True))
            )
        except* EmbeddedError as errors:
            raise errors.exceptions[0] from None
    print("TaskFlow has stopped.")
    return 0


def _interrupt(*_: object) -> None:
    """Unwind what is being started, as Ctrl-C does."""
    raise KeyboardInterrupt


async def _prepare(settings: Settings) -> None:
    async with open_database(settings.required_database_url(), pool_size=1) as database:
        await migrate_up(database)
    async with open_transport(settings) as transport:
        await transport.create_topics(TOPICS)


def _welcome(instance: Instance) -> str:
    settings = instance.settings
    api = address(settings.api_host, settings.api_port)
    gateway = address(settings.gateway_host, settings.gateway_port)
    return (
        f"\nTaskFlow is up.\n\n"
        f"  API        http://{api}\n"
        f"  websocket  ws://{gateway}/ws\n"
        f"  data       {settings.data_dir}/\n"
        f"{_mails(settings)}\n"
        f"See one event reach a websocket, in another terminal:\n\n{EXAMPLE}\n"
        f"Ctrl-C ends it.\n"
    )


def _mails(settings: Settings) -> str:
    """Tell where mails are kept, if they are not sent."""
    url = settings.smtp_url.get_secret_value() if settings.smtp_url else ""
    kind, _, folder = url.partition(":")
    return f"  mails      {folder}/index.html\n" if kind == "file" else ""


def _down(_: argparse.Namespace) -> int:
    directory = Settings(_env_file=ENV_FILE).data_dir
    holder = lock_holder(directory)
    if holder is None:
        count = end_instance_leftovers(directory)
        print(f"Ended {count} processes that were left." if count else "Nothing runs here.")
        return 0
    os.kill(holder, signal.SIGTERM)
    until = time.monotonic() + DOWN_S_MAX
    while lock_holder(directory) == holder:
        if time.monotonic() > until:
            raise EmbeddedError(f"Process {holder} did not end in {DOWN_S_MAX:.0f} s.")
        time.sleep(0.1)
    print("TaskFlow has stopped.")
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    directory = Settings(_env_file=ENV_FILE).data_dir
    if not directory.exists():
        print(f"There is no {directory}/.")
        return 0
    if arguments.dry_run:
        print(f"{directory}/ would be deleted, with every task, account and event in it.")
        return 0
    with hold_lock(directory):
        if not arguments.yes and not _agreed(directory):
            print("Nothing was deleted.")
            return 1
        end_instance_leftovers(directory)
        shutil.rmtree(directory)
    print(f"{directory}/ is deleted.")
    return 0


def _agreed(directory: Path) -> bool:
    if not sys.stdin.isatty():
        raise EmbeddedError("Nobody is here to be asked: `taskflow reset --yes` deletes unasked.")
    answer = input(f"Delete {directory}/ with every task, account and event in it? [y/N] ")
    return answer.strip().lower() == "y"


class _Screen:
    """Shows what the processes write, each line with its name, and how far a long step is."""

    def __init__(self) -> None:
        self._printer = Printer(sys.stdout, width=_NAME_WIDTH)
        self._colours: dict[str, int] = {}

    def show(self, name: str, line: str) -> None:
        """Show a line of a process."""
        colour = self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])
        now = datetime.now().astimezone()
        self._printer.write(Message("line", line, now, name, str(colour)))

    @staticmethod
    def progress(words: str) -> None:
        """Show how far a step is, on one line where that can be."""
        if sys.stdout.isatty():
            print(f"\r{words}\033[K", end="", flush=True)
        else:
            print(words, flush=True)
