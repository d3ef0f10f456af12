"""Frames, silence and numbers: what the gateway does not take, and by which code it says so."""

from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.frames import Opcode
from websockets.protocol import Event

from gateway.limits import Limits
from schemas.frames import FRAME_BYTES_MAX
from tests.integration.gateway_world import PING, closed, frame, hello, until, world


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("rubbish", 4102),
        ('{"type":"ping","type":"ping"}', 4102),
        (PING.encode(), 4102),
        (b"\xff" * 10, 4102),
        (PING.ljust(FRAME_BYTES_MAX + 1), 4103),
        (PING.ljust(1_048_576), 4103),
        ([PING, *(" " * 1_000 for _ in range(20))], 4103),
    ],
)
async def test_a_bad_frame_is_told_by_its_code(sent: str | bytes | list[str], code: int) -> None:
    async with world() as here, here.connect(uuid4()) as client:
        await hello(client)
        await client.send(sent)
        assert (await closed(client))[0] == code


async def test_a_frame_of_exactly_16_kib_is_read() -> None:
    async with world() as here, here.connect(uuid4()) as client:
        await hello(client)
        await client.send(PING.ljust(FRAME_BYTES_MAX))
        assert await frame(client) == {"type": "pong"}


async def test_a_flood_of_frames_or_pings_is_closed() -> None:
    async with world() as here:
        async with here.connect(uuid4()) as client:
            await hello(client)
            for _ in range(100):
                await client.send(PING)
            assert await closed(client) == (4105, "rate_limited")
        async with here.connect(uuid4()) as client:
            await hello(client)
            for _ in range(100):
                await client.ping()
            assert await closed(client) == (4105, "rate_limited")


async def test_a_client_that_is_silent_is_closed() -> None:
    limits = Limits(heartbeat_s=0.05, silence_s_max=0.2, close_s_max=2.0)
    async with world(limits) as here, here.connect(uuid4()) as client:
        await hello(client)
        client.transport.pause_reading()  # so that it answers no ping
        await until(lambda: not here.running.gateway.hub.count)
        client.transport.resume_reading()
        assert await closed(client) == (4003, "heartbeat_timeout")


class PingCounter(ClientConnection):
    pings = 0

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        self.pings += getattr(event, "opcode", None) is Opcode.PING


async def test_a_client_that_answers_pings_stays() -> None:
    limits = Limits(heartbeat_s=0.02, silence_s_max=0.2)
    async with (
        world(limits) as here,
        here.connect(uuid4(), create_connection=PingCounter) as client,
    ):
        assert isinstance(client, PingCounter)
        await hello(client)
        await until(lambda: client.pings >= 20)  # twice the silence that is allowed
        assert here.running.gateway.hub.count == 1


async def test_a_user_has_so_many_connections_and_no_more() -> None:
    user = uuid4()
    async with world(Limits(connections_per_user=2)) as here:
        async with here.connect(user) as one, here.connect(user) as two:
            await hello(one)
            await hello(two)
            async with here.connect(user) as three:
                assert await closed(three) == (4104, "too_many_connections")
            async with here.connect(uuid4()) as other:
                await hello(other)
        await until(lambda: not here.running.gateway.hub.count_of(user))
        async with here.connect(user) as again:
            await hello(again)


async def test_an_address_has_so_many_connections_and_no_more() -> None:
    async with world(Limits(connections_per_address=2)) as here:
        async with here.connect(), here.connect(), here.connect(uuid4()) as third:
            assert await closed(third) == (4104, "too_many_connections")
        await until(lambda: not here.running.gateway.connections)
        async with here.connect(uuid4()) as again:
            await hello(again)
