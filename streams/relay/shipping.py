"""Shipping: outbox rows go to the log in order, and are deleted when the log has them."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from streams.observability.metrics import OUTBOX_ROWS, RELAY_FAILED, RELAY_PUBLISHED
from streams.relay.envelope import messages_of
from streams.relay.leadership import Leadership
from streams.store.database import Database, StoreError
from streams.store.outbox import CHANNEL, LastPlace, OutboxRow, delete_sent, unsent_rows
from streams.transport.interface import Message, Place, Transport, TransportError

ROWS_MAX = 500
"""Rows of one round: as many as fit in one batch if all are of one partition."""
POLL_S = 1.0
"""How long a row may wait whose notification was lost."""
PAUSE_S = 0.5
"""Before the next try, after the database or the log refused one."""

_log = logging.getLogger(__name__)

Result = Place | TransportError


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

    async def run(self) -> None:
        """Ship until cancelled; what the database or the log refuses is tried again for ever."""
        while True:
            try:
                async with self.database.listening(CHANNEL, self.wake.set) as hears:
                    while hears():
                        await self._round()
            except StoreError as error:
                _log.warning("waiting for the database: %s", error)
                await asyncio.sleep(PAUSE_S)

    async def _round(self) -> None:
        self.wake.clear()
        epoch = self.leadership.epoch()
        if epoch is not None and await self.ship_once(epoch):
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await self.wake.wait()

    async def ship_once(self, epoch: int) -> bool:
        """Publish the oldest rows and delete those that the log has; False if there were none."""
        rows = await unsent_rows(self.database, ROWS_MAX)
        OUTBOX_ROWS.set(len(rows))
        if not rows:
            return False
        shipment = await self._publish(rows, epoch)
        if shipment.sent:
            await delete_sent(self.database, epoch, shipment.sent, shipment.places)
            RELAY_PUBLISHED.inc(len(shipment.sent))
        if shipment.failures:
            await self._after_failure(shipment.failures)
        return True

    async def _publish(self, rows: Sequence[OutboxRow], epoch: int) -> Shipment:
        pairs = [(row, message) for row in rows for message in messages_of(row, epoch)]
        results = await self.transport.publish_many([message for _, message in pairs])
        return shipment_of(pairs, results)

    async def _after_failure(self, failures: Sequence[TransportError]) -> None:
        """Begin a new epoch, since what failed may still reach the log after what comes next."""
        RELAY_FAILED.inc(len(failures))
        _log.warning("%d messages wait for the log: %s", len(failures), failures[0])
        await asyncio.sleep(PAUSE_S)
        await self.leadership.renew(new_epoch=True)


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
