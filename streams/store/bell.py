"""The bell: many writes in one process wake the relay with few notifications."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from streams.store import outbox
from streams.store.database import Database, StoreError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bell:
    """Rings after writes; while one notification is on its way, further ones become a single one.

    A ring that fails is dropped: the relay looks by itself soon.
    """

    _pending: asyncio.Event = field(default_factory=asyncio.Event)

    def ring(self) -> None:
        """Ask for a notification; returns at once."""
        self._pending.set()

    async def keep_ringing(self, database: Database) -> None:
        """Send what `ring` asked for, until cancelled."""
        while True:
            await self._pending.wait()
            self._pending.clear()
            try:
                await outbox.ring(database)
            except StoreError as error:
                _log.info("the relay could not be woken, and will look by itself: %s", error)


@asynccontextmanager
async def open_bell(database: Database) -> AsyncIterator[Bell]:
    """Run a bell while the context is open."""
    bell = Bell()
    async with asyncio.TaskGroup() as tasks:
        ringing = tasks.create_task(bell.keep_ringing(database))
        try:
            yield bell
        finally:
            ringing.cancel()
