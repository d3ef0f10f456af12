"""Looking into the log for single records, as an operator does: slowly, and with limits."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from time import monotonic

from streams.transport.interface import OffsetOutOfRangeError, Record, Transport

READ_S_MAX = 5.0
PAGE = 500


async def read_one(transport: Transport, topic: str, partition: int, offset: int) -> Record | None:
    """Read the first record from an offset on; None where the log has none, or not any more."""
    extent = (await transport.extents(topic)).get(partition)
    if extent is None or not extent.start <= offset < extent.end:
        return None
    try:
        async with transport.tail(topic, {partition: offset}) as tail:
            page = await tail.read(1, READ_S_MAX)
    except OffsetOutOfRangeError:
        return None
    return page[0] if page else None


@dataclass(frozen=True, slots=True)
class Search:
    """Where to look for something: from an instant on, until another, at most so many records."""

    from_ms: int
    until_ms: int
    records_max: int


async def records_between(
    transport: Transport, topic: str, search: Search
) -> AsyncIterator[Sequence[Record]]:
    """Give a topic's records of some time, page by page, a partition's in their order."""
    positions = dict(await transport.offsets_since(topic, search.from_ms))
    ends = dict(await transport.offsets_since(topic, search.until_ms))
    left = {number: ends[number] for number in positions if positions[number] < ends[number]}
    if not left:
        return
    count = 0
    async with transport.tail(topic, {number: positions[number] for number in left}) as tail:
        heard_at = monotonic()
        while left and count < search.records_max and monotonic() - heard_at < READ_S_MAX:
            page = await tail.read(PAGE, READ_S_MAX)
            if page:
                heard_at = monotonic()
            count += len(page)
            yield page
            _leave_out(left, page)


def _leave_out(left: dict[int, int], page: Sequence[Record]) -> None:
    """Take away the partitions that were read to their end."""
    for record in page:
        if record.offset >= left.get(record.partition, record.offset + 2) - 1:
            del left[record.partition]
