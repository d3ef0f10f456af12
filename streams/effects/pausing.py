"""Pausing: an operator may hold a worker, which processes nothing then, and stays ready."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from streams.effects.retrying import Trouble
from streams.observability.metrics import EFFECTS_PAUSED
from streams.store.database import Database, StoreError
from streams.store.pauses import find_pause

LOOK_S = 0.5
"""How often the row is looked at, at most, while batches are committed, and while paused."""


@dataclass(slots=True)
class Pause:
    """Whether this worker's app is paused, as of half a second ago."""

    app: str
    database: Database
    trouble: Trouble
    on: bool = False
    _looked_at: float = float("-inf")

    def doubt(self) -> None:
        """Look again before the next batch."""
        self._looked_at = float("-inf")

    async def look(self) -> None:
        """Read the row; waits for the database."""
        while True:
            try:
                self.on = await find_pause(self.database, self.app) is not None
            except StoreError as error:
                await self.trouble.pause(f"the database refuses: {error}")
            else:
                break
        self._looked_at = monotonic()
        EFFECTS_PAUSED.labels(self.app).set(self.on)
        if self.on:
            self.trouble.over()

    async def wait_until_over(self) -> None:
        """Return when the app is not paused; raise `StoppingError` when the process stops."""
        if monotonic() - self._looked_at >= LOOK_S:
            await self.look()
        while self.on:
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self.trouble.stopping.wait()
            self.trouble.raise_if_stopping()
            await self.look()
