"""What moved a whole user's plan, told to whoever holds a part of it."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from schemas.ids import parse_id
from streams.store.database import Database, StoreError
from streams.store.reminders import REPLANNED

USERS_MAX = 1_000
"""So many are told by name; with more, everything counts as moved."""
CHECK_S = 1.0
"""How soon a connection that hears nothing any more is replaced."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Replanned:
    """Users whose reminders have moved without an event of their tasks.

    A change of settings moves thousands of reminders and writes no task, so no event tells of it;
    the notification of its transaction does, in milliseconds. One that was lost is made good for by
    reading everything again as soon as this hears again: the sweep, which would find what moved
    only when it is overdue by a second, stands behind both.
    """

    wake: asyncio.Event
    everything: bool = False
    """Some may not have been told."""
    _users: set[UUID] = field(default_factory=set)

    def take(self) -> set[UUID]:
        """Give those that were told since the last time."""
        users, self._users = self._users, set()
        return users

    def note(self, text: str) -> None:
        """Note what a notification says."""
        user_id = parse_id(text)
        if user_id is None or len(self._users) >= USERS_MAX:
            self.everything = True
            self._users.clear()
        else:
            self._users.add(user_id)
        self.wake.set()

    async def keep_hearing(self, database: Database) -> None:
        """Listen until cancelled, on another connection when one is lost."""
        while True:
            try:
                async with database.hearing(REPLANNED, self.note) as hears:
                    self.everything = True
                    self.wake.set()
                    while hears():  # noqa: ASYNC110 - a connection ends without saying so
                        await asyncio.sleep(CHECK_S)
            except StoreError as error:
                _log.info("the sweep stands in for notifications: %s", error)
                await asyncio.sleep(CHECK_S)


@asynccontextmanager
async def hear_replanned(database: Database, wake: asyncio.Event) -> AsyncIterator[Replanned]:
    """Hear of users whose plan has moved while the context is open; `wake` is set for each."""
    replanned = Replanned(wake)
    async with asyncio.TaskGroup() as tasks:
        hearing = tasks.create_task(replanned.keep_hearing(database))
        try:
            yield replanned
        finally:
            hearing.cancel()
