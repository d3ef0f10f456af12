"""The operators' log for commands that work before there is one, or without a database."""

import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager

from schemas.settings import Settings
from streams.operators.logbook import Outcome, logged
from streams.store.database import StoreError, open_database


@asynccontextmanager
async def noted(
    settings: Settings, command: str, arguments: Mapping[str, object]
) -> AsyncIterator[Outcome]:
    """Write the command down if that can be; say so if it cannot, and go on."""
    async with AsyncExitStack() as stack:
        outcome = Outcome()
        try:
            url = settings.database_url
            if url is None:
                _tell("DATABASE_URL is not set")
            else:
                database = await stack.enter_async_context(
                    open_database(url.get_secret_value(), pool_size=1)
                )
                outcome = await stack.enter_async_context(logged(database, command, arguments))
        except StoreError as error:
            _tell(str(error))
        yield outcome


def _tell(reason: str) -> None:
    print(f"Not written to the operators' log: {reason}.", file=sys.stderr)
