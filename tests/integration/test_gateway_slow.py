"""Clients that do not read, or do not go: each is bounded, and felt by nobody else."""

import asyncio
import socket
from uuid import uuid4

from gateway.limits import Limits
from streams.transport.interface import (
    TransportUnavailableError,
)
from tests.integration.gateway_world import (
    SEAL,
    closed,
    frame,
    hello,
    token,
    until,
    world,
)

MASKED_CLOSE = b"\x88\x82\0\0\0\0" + (1_000).to_bytes(2, "big")
UPGRADE = (
    "GET /ws HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"
    "Authorization: Bearer {token}\r\n\r\n"
)


def small_socket(port: int) -> socket.socket:
    """A socket that the kernel does not buffer megabytes for."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    made.connect(("127.0.0.1", port))
    made.setblocking(False)
    return made


async def test_a_slow_client_is_closed_and_another_of_the_same_user_gets_all() -> None:
    user, count = uuid4(), 60
    async with world() as here:
        sock = small_socket(here.running.port)
        async with here.connect(user, sock=sock) as slow, here.connect(user) as quick:
            await hello(slow)
            await hello(quick)
            slow.transport.pause_reading()
            offsets = []
            for _ in range(count):
                place = await here.publish(user, filler=200_000)
                event = await frame(quick)
                offsets.append(SEAL.read(event["position"], user).offset)
                assert offsets[-1] == place.offset
                for connection in here.running.gateway.connections:
                    assert connection.wire.unsent_bytes < 1_048_576 + 2 * 201_000
            assert offsets == list(range(offsets[0], offsets[0] + count))
            assert here.running.gateway.hub.count == 1
            slow.transport.resume_reading()
            assert await closed(slow) == (4000, "slow_consumer")


async def test_a_slow_client_that_never_reads_again_is_cut_in_time() -> None:
    user = uuid4()
    async with world(Limits(close_s_max=0.2, unsent_bytes_max=10_000)) as here:
        sock = small_socket(here.running.port)
        async with here.connect(user, sock=sock) as slow:
            await hello(slow)
            slow.transport.pause_reading()
            while here.running.gateway.hub.count:
                await here.publish(user, filler=200_000)
                await asyncio.sleep(0)
            await until(lambda: not here.running.gateway.connections)
            slow.transport.resume_reading()


async def test_a_burst_for_one_user_does_not_look_like_a_slow_client() -> None:
    user, count = uuid4(), 400
    limits = Limits(read_records_max=1_000)
    async with world(limits) as here, here.connect(user) as client:
        await hello(client)
        here.log.fault = TransportUnavailableError("so that all come in one read")
        await until(lambda: here.running.tail.trouble is not None)
        for _ in range(count):
            await here.publish(user, filler=40_000)
        here.log.fault = None
        for _ in range(count):
            await frame(client)


async def test_a_client_that_keeps_its_connection_after_the_close_frame_is_cut_in_time() -> None:
    """Whether the gateway or the client began to close: a socket is not held for it."""
    async with world(Limits(close_s_max=0.1)) as here:
        for sent in (MASKED_CLOSE, b"\xff" * 20):
            host = f"127.0.0.1:{here.running.port}"
            reader, writer = await asyncio.open_connection(*host.split(":"))
            writer.write(UPGRADE.format(host=host, token=token(uuid4())).encode())
            await reader.readuntil(b'"heartbeat_s":25}')
            writer.write(sent)
            await until(lambda: not here.running.gateway.connections)
            assert not here.running.gateway.hub.count
            writer.close()
