"""Rewinding: an app's ledger is put elsewhere, back to do again, or forward to leave out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import TypeAdapter, ValidationError

from schemas.times import Instant
from streams.effects.worker import Worker
from streams.operators.asking import RefusedError
from streams.store.database import Database
from streams.store.offsets import all_offsets, set_offsets
from streams.transport.interface import Extent, Transport

_INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)


@dataclass(frozen=True, slots=True)
class Move:
    """One partition: from where to where. `again` and `skipped` count offsets."""

    partition: int
    begin: int
    to: int

    @property
    def again(self) -> int:
        """How many are processed again."""
        return max(0, self.begin - self.to)

    @property
    def skipped(self) -> int:
        """How many are never processed."""
        return max(0, self.to - self.begin)


async def plan(
    worker: Worker, database: Database, transport: Transport, to: str, partition: int | None
) -> Sequence[Move]:
    """Say what a rewind would move; raise `RefusedError` for what cannot be.

    `to` is `start`, `end`, an RFC 3339 instant, or an offset of the one partition that is named.
    """
    topic = worker.topic.name
    extents = await transport.extents(topic)
    if partition is not None and partition not in extents:
        raise RefusedError(
            f"--partition {partition}: {topic} has the partitions 0 to {len(extents) - 1}."
        )
    chosen = {
        number: extent
        for number, extent in extents.items()
        if partition is None or number == partition
    }
    wanted = await _wanted(transport, topic, chosen, to, partition)
    ledger = await all_offsets(database, worker.app, topic)
    return [
        Move(number, ledger.get(number, extent.start), wanted[number])
        for number, extent in sorted(chosen.items())
    ]


async def _wanted(
    transport: Transport,
    topic: str,
    extents: Mapping[int, Extent],
    to: str,
    partition: int | None,
) -> Mapping[int, int]:
    if to == "start":
        return {number: extent.start for number, extent in extents.items()}
    if to == "end":
        return {number: extent.end for number, extent in extents.items()}
    if to.isascii() and to.isdigit():
        return {
            number: _offset(int(to), topic, number, extent, partition)
            for number, extent in extents.items()
        }
    try:
        at = _INSTANT.validate_python(to)
    except ValidationError:
        raise RefusedError(
            f"--to {to}: must be start, end, an offset, or an RFC 3339 instant,"
            " as in 2027-01-31T08:00:00Z."
        ) from None
    found = await transport.offsets_since(topic, int(at.timestamp() * 1000))
    return {number: max(found[number], extent.start) for number, extent in extents.items()}


def _offset(offset: int, topic: str, number: int, extent: Extent, partition: int | None) -> int:
    if partition is None:
        raise RefusedError("--to with an offset is about one partition: add --partition N.")
    if not extent.start <= offset <= extent.end:
        raise RefusedError(
            f"--to {offset}: the log has {extent.start} to {extent.end} of {topic}[{number}]."
        )
    return offset


async def rewind(worker: Worker, database: Database, moves: Sequence[Move]) -> Sequence[Move]:
    """Move the ledger, and give what was moved: a running worker may have gone on since the plan.

    The worker is fenced, and goes on from the new place within a few seconds.
    """
    wanted = {move.partition: move.to for move in moves}
    async with database.transaction() as session:
        before = await set_offsets(session, worker.app, worker.topic.name, wanted)
    return [Move(move.partition, before.get(move.partition, move.begin), move.to) for move in moves]
