"""The operators' log as commands write it: who, when, what, with what, and what came of it."""

import getpass
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from streams.store.database import Database, StoreError
from streams.store.operator_log import begin_entry, end_entry

NAME_CHARS_MAX = 200


@dataclass(slots=True)
class Outcome:
    """What the command says of itself in the end."""

    result: str = "done"
    entry: int = 0
    """Its number, for a command that writes its result with what it changes."""


def operator() -> str:
    """Name who runs this: the user of the operating system, and the host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"  # a user id without a name, as in a container
    return f"{user}@{socket.gethostname()}"[:NAME_CHARS_MAX]


@asynccontextmanager
async def logged(
    database: Database, command: str, arguments: Mapping[str, object]
) -> AsyncIterator[Outcome]:
    """Write an entry before the context is entered, and its result behind it.

    Nothing is changed that could not be written down. A command that dies leaves its entry without
    a result. The result itself is written if it can be: what was done is done.
    """
    entry = await begin_entry(database, operator(), command, arguments)
    outcome = Outcome(entry=entry)
    try:
        yield outcome
    except BaseException as error:
        outcome.result = f"failed: {type(error).__name__}: {error}"
        raise
    finally:
        with suppress(StoreError):
            await end_entry(database, entry, outcome.result)
