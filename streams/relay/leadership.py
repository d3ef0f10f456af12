"""Leadership: whether this relay may publish, known without asking the database each time."""

import asyncio
import logging
from collections.abc import Callable
from time import monotonic
from uuid import UUID

from schemas.ids import new_id
from streams.observability.metrics import RELAY_LEADER
from streams.store.database import Database, StoreError
from streams.store.lease import LEASE, give_up_lease, hold_lease

RENEW_S = 1.0
GIVE_UP_S_MAX = 1.0
_MARGIN_S = 0.5
"""Stop this long before the lease ends, for what is between reading the clock and the send."""

_log = logging.getLogger(__name__)


class Leadership:
    """The lease as this process knows it.

    Its end is counted from before the statement that took it, on a clock that goes on while the
    process is stopped: a relay that wakes after its lease does not believe that it leads.
    """

    def __init__(self, database: Database, changed: Callable[[], None]) -> None:
        self._database = database
        self._changed = changed
        self._holder: UUID = new_id()
        self._epoch: int | None = None
        self._ends_at = 0.0
        self._term = 0
        self._turn = asyncio.Lock()
        # Asked for when it is read, so that a relay which was stopped does not show what it was.
        RELAY_LEADER.set_function(lambda: float(self.epoch() is not None))

    def epoch(self) -> int | None:
        """Give the epoch in which this relay leads now; None if it does not."""
        return self._epoch if monotonic() < self._ends_at else None

    def term(self) -> int | None:
        """Give a number that stays while nobody else can have led; None while this one does not.

        An epoch that was asked for is in the same term; one that follows an expiry is not.
        """
        return self._term if self.epoch() is not None else None

    async def keep(self) -> None:
        """Take the lease when it is free and renew it, until cancelled; it then ends by itself."""
        while True:
            try:
                await self.renew()
            except StoreError as error:
                _log.warning("the lease could not be renewed: %s", error)
            await asyncio.sleep(RENEW_S)

    async def renew(self, *, new_epoch: bool = False) -> None:
        """Prolong the lease, or take it; with `new_epoch`, as another leader would."""
        async with self._turn:
            asked_at = monotonic()
            led = self.epoch() is not None
            epoch = await hold_lease(self._database, self._holder, new_epoch=new_epoch)
            if epoch != self._epoch:
                _log.info("leading in epoch %d", epoch) if epoch else _log.info("another leads")
            self._term += not led
            self._epoch = epoch
            self._ends_at = asked_at + LEASE.total_seconds() - _MARGIN_S
        self._changed()

    async def give_up(self) -> None:
        """Let another relay lead at once, where nothing that this one sent is undecided.

        Takes at most `GIVE_UP_S_MAX`; after that the lease ends by itself.
        """
        self._epoch = None
        try:
            async with asyncio.timeout(GIVE_UP_S_MAX):
                await give_up_lease(self._database, self._holder)
        except (StoreError, TimeoutError) as error:
            _log.info("the lease was not given up, and will end by itself: %r", error)
