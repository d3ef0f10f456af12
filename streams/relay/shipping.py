"""Shipping: outbox rows go to the log in order, and are deleted when the log has them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from streams.observability.health import NotReadyError
from streams.observability.metrics import OUTBOX_ROWS, RELAY_FAILED, RELAY_PUBLISHED
from streams.relay.envelope import UnroutableError, messages_of
from streams.relay.leadership import Leadership
from streams.store.database import Database, StoreError
from streams.store.outbox import (
    CHANNEL,
    LastPlace,
    OutboxRow,
    count_unsent,
    delete_sent,
    unsent_rows,
)
from streams.transport.interface import (
    Message,
    Place,
    Transport,
    TransportError,
    TransportUnavailableError,
)

ROWS_MAX = 500
"""Rows of one round: as many as fit in one batch if all are of one partition."""
POLL_S = 1.0
"""How long a row may wait whose notification was lost."""
COUNT_MAX = 20_000
"""So many are counted for the gauge; a count of all would take longer than their publishing."""
WATCH_S = 0.1
PAUSE_S = 0.5
"""Before the next try, after the database or the log refused one."""

_log = logging.getLogger(__name__)

Result = Place | TransportError


class DeposedError(Exception):
    """Another relay may lead, and something that this one sent may still reach the log.

    Only the end of the process takes it back: the log's client would send it when it can, and an
    older version of a task would then stand behind a newer one.
    """


@dataclass(frozen=True, slots=True)
class Shipment:
    """What became of one round: the rows that the log has, and where the last of each went."""

    sent: tuple[int, ...]
    places: tuple[LastPlace, ...]
    failures: tuple[TransportError, ...]


@dataclass(slots=True)
class Shipping:
    """Ships while this relay leads; one round at a time, so one batch a partition is on its way."""

    database: Database
    transport: Transport
    leadership: Leadership
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    trouble: str | None = None
    _stopping: bool = False
    _undecided_in: int | None = None
    """The term in which something was sent whose outcome is not known yet."""
    _owes_epoch: bool = False
    """Whether a send has failed in this epoch: nothing more is sent before the next one begins."""

    async def run(self) -> None:
        """Ship until `stop`; what the database or the log refuses is tried again for ever."""
        while not self._stopping:
            try:
                async with self.database.listening(CHANNEL, self.wake.set) as hears:
                    while hears() and not self._stopping:
                        await self._round()
            except StoreError as error:
                _log.warning("waiting for the database: %s", error)
                await asyncio.sleep(PAUSE_S)

    def stop(self) -> None:
        """Let `run` end after the round that is in progress."""
        self._stopping = True
        self.wake.set()

    async def watch(self) -> None:
        """Raise `DeposedError` when the lease ends with something on its way, while `run` waits.

        It looks often enough to see it within the leadership's margin.
        """
        # A lease ends without saying so, hence no event.
        while self.settled or self._undecided_in == self.leadership.term():  # noqa: ASYNC110
            await asyncio.sleep(WATCH_S)
        raise DeposedError("the lease ended while a batch was on its way")

    @property
    def settled(self) -> bool:
        """Whether the outcome of all that was sent is known."""
        return self._undecided_in is None

    async def check(self) -> None:
        """Return while rows can be shipped; the health check of a relay."""
        if self.trouble is not None:
            raise NotReadyError(self.trouble)

    async def _round(self) -> None:
        self.wake.clear()
        epoch = self.leadership.epoch()
        if epoch is None:
            self.trouble = None
        elif await self.ship_once(epoch):
            return
        if self._stopping:
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self.wake.wait()

    async def ship_once(self, epoch: int) -> bool:
        """Publish the oldest rows and delete those that the log has; False if it took none."""
        if self._owes_epoch:
            await self._begin_epoch()
            return False
        rows = await unsent_rows(self.database, ROWS_MAX)
        await self._note_backlog(len(rows))
        pairs, unroutable = _pairs(rows, epoch)
        term = self.leadership.term()
        if term is None or self.leadership.epoch() != epoch:
            return False
        shipment = shipment_of(pairs, await self._publish([message for _, message in pairs], term))
        self._owes_epoch = bool(shipment.failures)
        if shipment.sent:
            await delete_sent(self.database, epoch, shipment.sent, shipment.places)
            RELAY_PUBLISHED.inc(len(shipment.sent))
        self.trouble = unroutable
        if shipment.failures:
            await self._after_failure(shipment.failures)
        return bool(shipment.sent)

    async def _note_backlog(self, found: int) -> None:
        if found == ROWS_MAX:
            found = await count_unsent(self.database, COUNT_MAX)
        OUTBOX_ROWS.set(found)

    async def _publish(self, messages: Sequence[Message], term: int) -> Sequence[Result]:
        if not messages:
            return []
        self._undecided_in = term
        results: Sequence[Result]
        try:
            results = await self.transport.publish_many(messages)
        except TransportError as error:
            results = [error] * len(messages)
        if not any(isinstance(result, TransportUnavailableError) for result in results):
            self._undecided_in = None
        return results

    async def _after_failure(self, failures: Sequence[TransportError]) -> None:
        """Begin a new epoch, since what failed may still reach the log after what comes next."""
        RELAY_FAILED.inc(len(failures))
        self.trouble = f"{len(failures)} messages wait for the log: {failures[0]}"
        _log.warning("%s", self.trouble)
        await asyncio.sleep(PAUSE_S)
        await self._begin_epoch()

    async def _begin_epoch(self) -> None:
        await self.leadership.renew(new_epoch=True)
        self._owes_epoch = False


def _pairs(
    rows: Sequence[OutboxRow], epoch: int
) -> tuple[Sequence[tuple[OutboxRow, Message]], str | None]:
    """Give the rows' messages; a row of a newer program waits for a relay that knows its type."""
    pairs: list[tuple[OutboxRow, Message]] = []
    unroutable = None
    for row in rows:
        try:
            pairs += [(row, message) for message in messages_of(row, epoch)]
        except UnroutableError as error:
            unroutable = f"left in the outbox: {error}"
    return pairs, unroutable


def shipment_of(pairs: Sequence[tuple[OutboxRow, Message]], results: Sequence[Result]) -> Shipment:
    """Sum up a round; a row is sent when each of its messages has a place."""
    unsent = {
        row.seq
        for (row, _), result in zip(pairs, results, strict=True)
        if isinstance(result, TransportError)
    }
    places: dict[tuple[str, int], LastPlace] = {}
    for (row, _), result in zip(pairs, results, strict=True):
        if isinstance(result, Place) and row.seq not in unsent:
            places[result.topic, result.partition] = LastPlace(
                result.topic, result.partition, result.offset, row.event_id
            )
    return Shipment(
        sent=tuple(dict.fromkeys(row.seq for row, _ in pairs if row.seq not in unsent)),
        places=tuple(places.values()),
        failures=tuple(result for result in results if isinstance(result, TransportError)),
    )
