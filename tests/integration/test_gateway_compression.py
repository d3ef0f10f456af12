"""permessage-deflate, where an operator wants it: the same frames, and the same limits."""

from uuid import uuid4

import pytest

from schemas.frames import FRAME_BYTES_MAX
from tests.integration.gateway_world import PING, closed, counted, frame, hello, world

BOMB = " " * 10_000_000
"""About 10 KB when it is deflated, which is less than a frame may have."""


async def test_it_is_off_unless_it_is_wanted() -> None:
    async with world() as here, here.connect(uuid4(), compression="deflate") as client:
        await hello(client)
        assert not client.protocol.extensions


async def test_the_same_frames_come_with_and_without_it() -> None:
    user = uuid4()
    async with (
        world(websocket_compression=True) as here,
        here.connect(user, compression="deflate") as small,
        here.connect(user, compression=None) as plain,
    ):
        assert small.protocol.extensions
        assert not plain.protocol.extensions
        assert await hello(small) == await hello(plain)
        for filler in (0, 10, 100_000):
            await here.publish(user, filler=filler)
            assert await small.recv(decode=False) == await plain.recv(decode=False)
        await small.send(PING)
        assert await frame(small) == {"type": "pong"}


async def test_16_kib_are_read_however_small_they_come() -> None:
    async with world(websocket_compression=True) as here, here.connect(uuid4()) as client:
        await hello(client)
        for sent in (PING.ljust(FRAME_BYTES_MAX), [PING, " " * 8_000, " " * 8_000]):
            await client.send(sent)
            assert await frame(client) == {"type": "pong"}


@pytest.mark.parametrize(
    "sent",
    [
        PING.ljust(FRAME_BYTES_MAX + 1),
        BOMB,
        [PING.ljust(FRAME_BYTES_MAX), " "],
        [PING.ljust(FRAME_BYTES_MAX), BOMB],
        [" " * 8_000] * 3,
    ],
    ids=["a byte more", "a bomb", "a byte more in fragments", "a bomb behind", "fragments"],
)
async def test_what_is_larger_when_it_is_inflated_is_refused(sent: str | list[str]) -> None:
    before = counted("taskflow_gateway_closes_total", "frame_too_large")
    async with world(websocket_compression=True) as here, here.connect(uuid4()) as client:
        await hello(client)
        await client.send(sent)
        assert await closed(client) == (4103, "frame_too_large")
    assert counted("taskflow_gateway_closes_total", "frame_too_large") == before + 1
