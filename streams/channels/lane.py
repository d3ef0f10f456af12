"""Lanes: each kind of channel is served apart, and in it those that work apart from the others.

So a receiver that hangs takes no place among those that work, but for one attempt if it was one of
them, and a mail server that is away holds up no webhook.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from streams.channels.sender import ATTEMPT_S_MAX, Send
from streams.domain.deliveries import Failed, Outcome, judge
from streams.domain.messages import off_message
from streams.observability.metrics import DELIVERIES
from streams.store.bell import Bell
from streams.store.database import Database, StoreError
from streams.store.sending import Claim, Parcel, claim_channels, release, settle

LOOK_S, LOOK_S_MIN = 1.0, 0.1
"""How late a retry may begin, and what another process has queued."""
DRAIN_S_MAX = 3.0
"""Below what a worker has to end in."""
STORE_PAUSE_S = 0.5
STORE_TRIES_MAX = 6
"""For one write, some ten seconds; then its claim runs out, and the attempt counts as one that may
have arrived."""

PLACES = {"webhook": (64, 32), "email": (8, 4), "account": (4, 4)}
"""Channels that are served at a time: of those that work, and of those that are new or fail."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Lane:
    """Serves the channels of one kind that work, or those that do not; a place each."""

    database: Database
    bell: Bell
    kind: str
    send: Send
    places: int
    working: bool
    pace: float = 1.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    beside: "Lane | None" = None
    """The other lane of this kind, to which a channel goes when it begins to work, or ends to."""
    _busy: set["asyncio.Task[None]"] = field(default_factory=set)
    _stopping: bool = False

    async def run(self) -> None:
        """Serve until `stop`, or until cancelled.

        What is in progress then may end within `DRAIN_S_MAX`, and is cut off after that: its claim
        runs out, and its row says that the message may have arrived.
        """
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping:
                self.wake.clear()
                for claim in await self._claims():
                    task = tasks.create_task(self._serve(claim))
                    self._busy.add(task)
                    task.add_done_callback(self._busy.discard)
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(LOOK_S * self.pace, LOOK_S_MIN)):
                        await self.wake.wait()
            if self._busy:
                await asyncio.wait(self._busy, timeout=DRAIN_S_MAX)
            for task in self._busy:
                task.cancel()

    def stop(self) -> None:
        """Claim nothing more, and let `run` end soon."""
        self._stopping = True
        self.wake.set()

    async def _claims(self) -> list[Claim]:
        free = self.places - len(self._busy)
        if free <= 0:
            return []
        try:
            return list(await claim_channels(self.database, self.kind, free, working=self.working))
        except StoreError as error:
            _log.warning("the deliveries by %s wait for the database: %s", self.kind, error)
            return []

    async def _serve(self, claim: Claim) -> None:
        await asyncio.gather(*(self._attempt(parcel) for parcel in claim.parcels))
        await _insist(lambda: release(self.database, claim))
        for lane in (self, self.beside):
            if lane is not None:
                lane.wake.set()

    async def _attempt(self, parcel: Parcel) -> None:
        outcome = await self._outcome(parcel)
        verdict = judge(outcome, parcel.attempts, parcel.failing_for, random.random(), self.pace)  # noqa: S311 - jitter
        off = off_message(parcel.name, outcome.error if isinstance(outcome, Failed) else "")
        DELIVERIES.labels(self.kind, verdict.state).inc()
        await _insist(lambda: settle(self.database, parcel, outcome, verdict, off))
        self.bell.ring()

    async def _outcome(self, parcel: Parcel) -> Outcome:
        try:
            async with asyncio.timeout(ATTEMPT_S_MAX):
                return await self.send(parcel)
        except TimeoutError:
            return Failed("not done within the time", maybe_arrived=True)
        except Exception as error:  # noqa: BLE001 - a sender's own bug is one failed attempt
            # Its text may quote an address or a secret.
            name = type(error).__name__
            _log.error("delivery %s by %s failed: %s", parcel.delivery_id, self.kind, name)
            return Failed("a fault of the server's own", maybe_arrived=True)


async def _insist(write: Callable[[], Awaitable[object]]) -> None:
    """Write, again while the database is away; what may have been written is written once."""
    for number in range(STORE_TRIES_MAX):
        try:
            await write()
        except StoreError as error:
            _log.warning("an outcome waits for the database: %s", error)
            await asyncio.sleep(STORE_PAUSE_S * (number + 1))
        else:
            return
    _log.error("an outcome was not written: its claim runs out, and it is tried again")


def make_lanes(
    database: Database, bell: Bell, kind: str, send: Send, pace: float = 1.0
) -> list[Lane]:
    """Make the two lanes of a kind."""
    places, places_of_others = PLACES[kind]
    working = Lane(database, bell, kind, send, places, working=True, pace=pace)
    others = Lane(
        database, bell, kind, send, places_of_others, working=False, pace=pace, beside=working
    )
    working.beside = others
    return [working, others]
