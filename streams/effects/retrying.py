"""Waiting for what may come back: with backoff, visible in readiness, and ended by a shutdown."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from streams.observability.health import NotReadyError

PAUSE_S_MIN, PAUSE_S_MAX = 0.1, 5.0
_log = logging.getLogger(__name__)


class StoppingError(Exception):
    """The process is stopping: what was waited for was not done, and nothing was moved."""


@dataclass(slots=True)
class Trouble:
    """What keeps a worker from going on, if anything does."""

    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    reason: str | None = None
    _pause_s: float = PAUSE_S_MIN

    async def check(self) -> None:
        """Return while there is none; the health check of a worker."""
        if self.reason is not None:
            raise NotReadyError(self.reason)

    def over(self) -> None:
        """Note that the worker has gone on."""
        if self.reason is not None:
            _log.info("going on after: %s", self.reason)
        self.reason = None
        self._pause_s = PAUSE_S_MIN

    async def pause(self, reason: str) -> None:
        """Wait a little, each time longer; raise `StoppingError` at once when the process stops."""
        if reason != self.reason:
            _log.error("waiting: %s", reason)
        self.reason = reason
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s):
                await self.stopping.wait()
        self._pause_s = min(self._pause_s * 2, PAUSE_S_MAX)
        self.raise_if_stopping()

    async def halt(self, reason: str) -> NoReturn:
        """Stay red until the process stops; a person has to act."""
        _log.critical("halted: %s", reason)
        self.reason = reason
        await self.stopping.wait()
        raise StoppingError

    def raise_if_stopping(self) -> None:
        """Raise `StoppingError` if the process stops."""
        if self.stopping.is_set():
            raise StoppingError
