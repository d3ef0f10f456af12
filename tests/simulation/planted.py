"""Defects that are put into the product on purpose, to show that the simulation finds such."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from uuid import UUID

import gateway.sieve
import streams.effects.committing
import streams.relay.shipping
import streams.store.lease
from gateway.sieve import Sieve
from streams.effects.committing import Committer, FencedError, Run, Sorted
from streams.relay.shipping import Shipping, _pairs, shipment_of
from streams.store.database import Session
from streams.store.offsets import move_offset
from streams.store.outbox import delete_sent, unsent_rows
from tests.simulation.clocks import replaced

_HOLD_ANYWAY = """
    UPDATE relay_lease
       SET holder = $1::uuid, epoch = epoch + $3::boolean::integer,
           expires_at = clock_timestamp() + $2::interval
    RETURNING epoch"""
admits = Sieve.admits
_MOVE_WITHOUT_FENCE = """
    UPDATE stream_offsets SET next_offset = $4 WHERE app = $1 AND topic = $2 AND partition = $3"""


async def move_without_fence(
    session: Session, app: str, topic: str, partition: int, *, end: int, **_: object
) -> bool:
    """Move the ledger wherever it was."""
    await session.fetch(_MOVE_WITHOUT_FENCE, app, topic, partition, end)
    return True


async def write_after_moving(self: Committer, run: Run, found: Sorted) -> None:
    """Move the ledger in one transaction, and write the effects in the next."""
    worker, events = self.worker, found.good(run)
    async with self.database.transaction() as session:
        place = worker.app, worker.topic.name, run.partition
        if not await move_offset(session, *place, begin=run.begin, end=run.end):
            raise FencedError
    if events:
        async with self.database.transaction() as session:
            await worker.apply(session, events)


async def write_before_moving(self: Committer, run: Run, found: Sorted) -> None:
    """Write the effects in one transaction, and move the ledger in the next."""
    worker, events = self.worker, found.good(run)
    if events:
        async with self.database.transaction() as session:
            await worker.apply(session, events)
    async with self.database.transaction() as session:
        place = worker.app, worker.topic.name, run.partition
        if not await move_offset(session, *place, begin=run.begin, end=run.end):
            raise FencedError


async def ship_without_lease(self: Shipping, epoch: int) -> bool:
    """Publish with the epoch that was read before the rows, whoever leads by now."""
    rows = await unsent_rows(self.database, streams.relay.shipping.ROWS_MAX)
    pairs, _ = _pairs(rows, epoch)
    shipment = shipment_of(pairs, await self._publish([message for _, message in pairs], 0))
    self._undecided_in = None
    if shipment.sent:
        await delete_sent(self.database, epoch, shipment.sent, shipment.places)
    return bool(shipment.sent)


async def delete_before_publishing(self: Shipping, epoch: int) -> bool:
    """Acknowledge the rows to the outbox, and publish them then."""
    rows = await unsent_rows(self.database, streams.relay.shipping.ROWS_MAX)
    pairs, _ = _pairs(rows, epoch)
    await delete_sent(self.database, epoch, [row.seq for row in rows], ())
    await self._publish([message for _, message in pairs], self.leadership.term() or 0)
    self._undecided_in = None
    return bool(rows)


def admits_later_ids(self: Sieve, event_id: UUID, epoch: int | None) -> bool:
    """Drop what has not a higher id than the last: ids are made before the rows are written."""
    assert epoch is not None
    last = next(reversed(self._ids), UUID(int=0))
    if event_id <= last:
        return False
    self._ids[event_id] = None
    return True


def admits_all_epochs(self: Sieve, event_id: UUID, _epoch: int | None) -> bool:
    """Take a relay that was put down for one that leads."""
    return admits(self, event_id, None)


PLANTED: Mapping[str, Callable[[], AbstractContextManager[None]]] = {
    "no fence": lambda: replaced((streams.effects.committing, "move_offset", move_without_fence)),
    "ledger before effects": lambda: replaced((Committer, "_write", write_after_moving)),
    "effects before ledger": lambda: replaced((Committer, "_write", write_before_moving)),
    "publish without the lease": lambda: replaced((Shipping, "ship_once", ship_without_lease)),
    "the lease is anybody's": lambda: replaced((streams.store.lease, "_HOLD", _HOLD_ANYWAY)),
    "acknowledge before publishing": lambda: replaced(
        (Shipping, "ship_once", delete_before_publishing)
    ),
    "id > last": lambda: replaced((gateway.sieve.Sieve, "admits", admits_later_ids)),
    "epochs are ignored": lambda: replaced((gateway.sieve.Sieve, "admits", admits_all_epochs)),
}
