"""What is refused before the upgrade, and by which address it is counted."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus
from websockets.http11 import Response
from websockets.typing import Origin

from gateway.limits import Limits
from gateway.moment import Moment
from gateway.server import WAITING_MIN, fitting, limits_of
from schemas import codec
from tests.integration.gateway_world import (
    World,
    counted,
    hello,
    refused,
    settings_of_a_test,
    until,
    world,
)
from tests.waiting import eventually

REFUSALS = "taskflow_gateway_refusals_total"
CLOSES = "taskflow_gateway_closes_total"


@dataclass
class Clock:
    """Both clocks, which stand still until they are moved."""

    now: Moment = field(default_factory=Moment.now)

    def __call__(self) -> Moment:
        return self.now

    def move(self, seconds: float) -> None:
        self.now = Moment(self.now.at + timedelta(seconds=seconds), self.now.ticks_s + seconds)


def problem(answer: Response) -> str:
    return str(codec.decode(bytes(answer.body))["type"])


async def test_beyond_the_burst_a_handshake_is_429_until_its_turn_comes() -> None:
    clock, user, before = Clock(), uuid4(), counted(REFUSALS, "rate_limited")
    async with world(Limits(handshakes_per_s=1.0), clock=clock) as here:
        async with here.connect(user) as one, here.connect(user) as two:
            await hello(one)
            await hello(two)
            answer = await refused(here, user)
            assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
            assert problem(answer) == "urn:taskflow:problem:rate-limited"
            assert counted(REFUSALS, "rate_limited") == before + 1
            live = await asyncio.to_thread(here.get, "/health/live")
            assert live.status_code == 200, "machines ask no websocket"
        clock.move(1)
        async with here.connect(user) as three:
            await hello(three)
        assert (await refused(here, user)).status_code == 429


async def test_a_burst_does_not_overshoot_the_number_of_all_connections() -> None:
    before = counted(REFUSALS, "unavailable")
    async with world(Limits(connections_max=5)) as here:
        came = await asyncio.gather(
            *(here.connect(uuid4()).__aenter__() for _ in range(30)), return_exceptions=True
        )
        inside = [client for client in came if isinstance(client, ClientConnection)]
        for client in inside:
            await hello(client)
        assert len(inside) == here.running.gateway.admission.taken == 5
        answers = [error.response for error in came if isinstance(error, InvalidStatus)]
        assert [answer.status_code for answer in answers] == [503] * 25
        assert {answer.headers["Retry-After"] for answer in answers} == {"10"}
        assert problem(answers[0]) == "urn:taskflow:problem:unavailable"
        assert counted(REFUSALS, "unavailable") == before + 25
        await inside[0].close()
        await until(lambda: here.running.gateway.admission.taken == 4)
        async with here.connect(uuid4()) as late:
            await hello(late)
        for client in inside:
            await client.close()


HEAD = b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPGRADE = HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (HEAD, b" 426 "),
        (UPGRADE + b"Sec-WebSocket-Key: short\r\n", b" 400 "),
        (UPGRADE + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n", None),
    ],
    ids=["no upgrade", "a bad key", "gone at once"],
)
async def test_a_handshake_that_fails_after_it_has_a_place_gives_it_back(
    head: bytes, status: bytes | None
) -> None:
    async with world() as here:
        for _ in range(3):
            reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port)
            writer.write(head + b"\r\n")
            if status:
                assert status in await reader.readline()
            else:
                writer.transport.abort()
            writer.close()
        async with here.connect(uuid4()) as after:
            await hello(after)
            await until(lambda: here.running.gateway.admission.taken == 1)
        await until(lambda: here.running.gateway.admission.taken == 0)


async def test_who_is_told_to_go_keeps_a_place_until_it_is_gone() -> None:
    async with world(Limits(connections_max=1, connections_per_address=0)) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port)
        writer.write(UPGRADE + b"Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n")
        assert await reader.readuntil(b"too_many_connections")
        assert (await refused(here)).status_code == 503
        writer.close()
        await until(lambda: here.running.gateway.admission.taken == 0)


async def test_every_refusal_is_counted_by_its_reason() -> None:
    user = uuid4()
    bad = {"Authorization": "Bearer rubbish"}
    async with world() as here:
        refusals: dict[str, Callable[[], object]] = {
            "unauthenticated": lambda: refused(here, additional_headers=bad),
            "forbidden_origin": lambda: refused(here, user, origin=Origin("null")),
            "malformed": lambda: refused(here, user, path="/ws?types=rubbish"),
            "no_upgrade": lambda: asyncio.to_thread(here.get, "/ws"),
        }
        for reason, refuse in refusals.items():
            before = counted(REFUSALS, reason)
            made = refuse()
            assert asyncio.iscoroutine(made)
            await made
            assert counted(REFUSALS, reason) == before + 1, reason


async def admits(here: World, forwarded: str) -> bool:
    """Tell whether a client of such a header comes in, beside all that are in already."""
    inside = len(here.running.gateway.connections)
    headers = {"X-Forwarded-For": forwarded} if forwarded else {}
    client = await here.connect(additional_headers=headers).__aenter__()
    await until(
        lambda: len(here.running.gateway.connections) > inside or client.close_code is not None
    )
    return client.close_code is None


async def test_behind_a_trusted_proxy_each_client_has_its_own_address() -> None:
    before = counted(CLOSES, "too_many_connections")
    limits = Limits(connections_per_address=1)
    async with world(limits, trusted_proxies="10.0.0.0/8, 127.0.0.0/8") as here:
        assert await admits(here, "192.0.2.1")
        assert await admits(here, "203.0.113.9, 192.0.2.2, 10.0.0.7")
        assert not await admits(here, "198.51.100.1, 192.0.2.1")
        assert await admits(here, "rubbish\xff, ,")
        assert not await admits(here, "")
    assert counted(CLOSES, "too_many_connections") == before + 2


async def test_of_anybody_else_the_header_is_ignored() -> None:
    async with world(Limits(connections_per_address=1)) as here:
        assert await admits(here, "192.0.2.1")
        assert not await admits(here, "192.0.2.2")


def test_operators_turn_the_numbers_by_settings() -> None:
    limits = limits_of(
        settings_of_a_test(
            websockets_per_user=1,
            websockets_per_address=2,
            websockets_max=3,
            websocket_handshakes_per_s=4,
        )
    )
    assert (limits.connections_per_user, limits.connections_per_address) == (1, 2)
    assert (limits.connections_max, limits.handshakes_per_s, limits.handshakes_burst) == (3, 4, 8)


def test_without_settings_the_limits_are_their_defaults() -> None:
    assert limits_of(settings_of_a_test()) == Limits()


async def test_a_socket_beyond_the_limit_is_cut_before_it_has_asked_for_anything() -> None:
    """However little those say that are there; and when they have gone there is room again."""
    limits = Limits(sockets_max=WAITING_MIN + 3, connections_max=3)
    async with world(limits) as here:
        crowd = [
            await asyncio.open_connection("127.0.0.1", here.running.port)
            for _ in range(limits.sockets_max)
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port)
        assert await _cut(reader)
        for _, held in crowd:
            held.transport.abort()
        writer.transport.abort()

        async def lives() -> bool:
            return (await _status(here.running.port)) == b"200"

        await eventually(lives, 10, "there is room again")


def test_where_few_files_may_be_open_few_sockets_are() -> None:
    """And room is left for what machines ask, however many websockets there are."""
    fitted = fitting(Limits(), 1_000)
    assert (fitted.sockets_max, fitted.connections_max) == (1_000, 1_000 - WAITING_MIN)
    assert fitting(Limits(), 10**6) == Limits()


async def _cut(reader: asyncio.StreamReader) -> bool:
    async with asyncio.timeout(5):
        try:
            return await reader.read() == b""
        except OSError:
            return True


async def _status(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        return (await reader.readline())[9:12]
    except OSError:
        return b""
    finally:
        writer.transport.abort()
