"""Peers that are gone without a word: they are noticed, and nothing of theirs is kept."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from gateway.limits import Limits
from tests.integration.gateway_world import World, counted, hello, token, until, world

CLOSES = "taskflow_gateway_closes_total"
QUICK = Limits(heartbeat_s=0.05, silence_s_max=0.2, close_s_max=0.1, open_s_max=0.1)
HEAD = (
    "GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    "Authorization: Bearer {}\r\n\r\n"
)
PING_FRAME, CLOSE_FRAME = b"\x89\0", b"\x88\x13" + (4003).to_bytes(2, "big") + b"heartbeat_timeout"


def holds_nothing(here: World) -> bool:
    gateway = here.running.gateway
    return not (
        gateway.connections
        or gateway.hub.count
        or gateway.addresses._held
        or gateway.admission.taken
    )


@asynccontextmanager
async def vanished(
    here: World, sent: bytes, answered: bytes
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Send, be answered, and then neither read nor write nor close."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port)
    writer.write(sent)
    if answered:
        await reader.readuntil(answered)
    assert isinstance(writer.transport, asyncio.ReadTransport)
    writer.transport.pause_reading()
    yield reader, writer
    writer.close()


async def test_a_peer_that_vanishes_is_closed_with_4003_and_nothing_of_it_is_kept() -> None:
    before = counted(CLOSES, "heartbeat_timeout")
    async with world(QUICK) as here:
        head = HEAD.format(token(uuid4())).encode()
        async with vanished(here, head, b'"heartbeat_s":1}') as (reader, writer):
            assert here.running.gateway.admission.taken == 1
            await until(lambda: holds_nothing(here))
            assert isinstance(writer.transport, asyncio.ReadTransport)
            writer.transport.resume_reading()
            assert (await reader.read()).endswith(PING_FRAME + CLOSE_FRAME)
    assert counted(CLOSES, "heartbeat_timeout") == before + 1


@pytest.mark.parametrize("frame", [b"\x81", b"\x81\xfe\x10\0", b"\x01\x80\0\0\0\0"])
async def test_a_peer_that_vanishes_within_a_frame_or_message_is_noticed_too(frame: bytes) -> None:
    async with world(QUICK) as here:
        head = HEAD.format(token(uuid4())).encode()
        async with vanished(here, head, b'"heartbeat_s":1}') as (_, writer):
            writer.write(frame)
            await until(lambda: holds_nothing(here))


async def test_a_peer_that_vanishes_within_its_request_is_cut() -> None:
    async with world(QUICK) as here:
        async with vanished(here, HEAD[:40].encode(), b"") as (reader, writer):
            assert isinstance(writer.transport, asyncio.ReadTransport)
            writer.transport.resume_reading()
            async with asyncio.timeout(10):
                assert await reader.read() == b""
        assert holds_nothing(here)


async def test_a_peer_that_vanishes_takes_nothing_from_others_of_its_user() -> None:
    user = uuid4()
    async with world(QUICK) as here, here.connect(user) as client:
        await hello(client)
        head = HEAD.format(token(user)).encode()
        async with vanished(here, head, b'"heartbeat_s":1}'):
            await until(lambda: here.running.gateway.hub.count == 2)
            await until(lambda: here.running.gateway.hub.count == 1)
            await here.publish(user)
            assert await client.recv()
