"""Reading in tests: until so many records have come, with a limit."""

from collections.abc import Sequence
from time import monotonic

from streams.transport.interface import Message, Place, Record, Subscription, Tail, Transport

READ_S_MAX = 30.0


async def read_until(reader: Tail | Subscription, count: int) -> Sequence[Record]:
    """Read until `count` records have come."""
    found: list[Record] = []
    until = monotonic() + READ_S_MAX
    while len(found) < count:
        assert monotonic() < until, f"only {len(found)} of {count} records came"
        found += await reader.read(count - len(found), 1.0)
    return found


async def read_all(transport: Transport, topic: str) -> dict[int, list[Record]]:
    """Read every partition from its start to its end."""
    extents = await transport.extents(topic)
    found: dict[int, list[Record]] = {}
    for number, extent in extents.items():
        async with transport.tail(topic, {number: extent.start}) as tail:
            found[number] = list(await read_until(tail, extent.end - extent.start))
    return found


async def publish(transport: Transport, messages: Sequence[Message]) -> Sequence[Place]:
    """Publish messages, all of which must be taken."""
    places = []
    for result in await transport.publish_many(messages):
        assert isinstance(result, Place), result
        places.append(result)
    return places
