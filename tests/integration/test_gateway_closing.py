"""RFC 6455, the end: the case 7 of the Autobahn testsuite, and connections that just break off."""

import asyncio
import socket
from functools import partial
from uuid import UUID, uuid4

import pytest

from gateway.limits import Limits
from tests.integration.gateway_world import PING, World, until
from tests.integration.raw_socket import (
    BINARY,
    CLOSE,
    CONT,
    PING_FRAME,
    PONG_TEXT,
    TEXT,
    Frame,
    Script,
    close,
    dialled,
    framed,
    greeted,
    head,
    holds_nothing,
    play_whole_and_torn,
    reset,
    text,
    unharmed,
)

BYE = close(1000)
REGISTERED = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
FORBIDDEN = (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 9999, 65_535)

CLOSES: dict[str, Script] = {
    "a text, then a close": (text(PING), PONG_TEXT, BYE, 1000),
    "two closes": (BYE, BYE, 1000),
    "a close of another code after a close": (BYE, close(1001), 1000),
    "a ping after a close": (BYE, framed(PING_FRAME, b"late"), 1000),
    "a text after a close": (BYE, text(PING), 1000),
    "a broken frame after a close": (BYE, framed(3, b"late", rsv=7, mask=None), 1000),
    "256 KiB after a close": (BYE, text(" " * 262_144), 1000),
    "a close without a code": (framed(CLOSE), 1005),
    "a close of one byte": (framed(CLOSE, b"\x03"), 1002),
    "a close with a reason of 123 bytes": (close(1000, b"*" * 123), 1000),
    "a close with a reason of 124 bytes": (close(1000, b"*" * 124), 1002),
    "a close with a reason that is no UTF-8": (close(1000, b"\xce\xba\xed\xa0\x80edited"), 1007),
    "a close with half a character": (close(1000, b"\xce"), 1007),
    "a close with a bad code and no UTF-8": (close(1005, b"\xff"), 1007),
    "a ping after a protocol error": (framed(3), framed(PING_FRAME, b"late"), 1002),
    "a close after a protocol error": (framed(3), BYE, 1002),
    "a text after a bad text": (text("{"), text(PING), 4102),
    "a broken frame after a large frame": (framed(TEXT, declared=1 << 40), framed(3), 4103),
    **{f"code {n}": (close(n), n) for n in (*REGISTERED, 3000, 3999, 4000, 4102, 4999)},
    **{f"code {n} is none": (close(n), 1002) for n in FORBIDDEN},
    **{f"code {n} with a reason is none": (close(n, b"why"), 1002) for n in FORBIDDEN},
}


@pytest.mark.parametrize("script", [pytest.param(row, id=name) for name, row in CLOSES.items()])
async def test_a_close_is_answered_once_and_nothing_after_it(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    await play_whole_and_torn(script, caplog)


async def test_a_close_is_answered_with_its_own_code_and_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    reason = "bis später".encode()
    async with unharmed(caplog) as here, greeted(here) as peer:
        await peer.send(close(3210, reason))
        assert await peer.frame() == Frame(CLOSE, (3210).to_bytes(2, "big") + reason)
        assert await peer.frame() is None


UNFINISHED = {
    "nothing": b"",
    "half a header": b"\x81",
    "half a length": framed(TEXT, declared=1_000)[:3],
    "half a mask": framed(TEXT, b"x")[:4],
    "half a payload": text(PING)[:-1],
    "half a message": framed(TEXT, PING.encode(), fin=False),
    "a text": text(PING),
    "a text that is not ours": text("{"),
    "a text that is no UTF-8": text(b"\xff"),
    "a protocol error": framed(3),
    "a close": BYE,
    "a binary and a close": framed(BINARY, b"x") + BYE,
    "many pings": framed(PING_FRAME, bytes(125)) * 2_000,
}


@pytest.mark.parametrize("rudely", [False, True], ids=["by FIN", "by RST"])
@pytest.mark.parametrize("sent", UNFINISHED.values(), ids=UNFINISHED)
async def test_a_connection_that_breaks_off_leaves_nothing_behind(
    sent: bytes, caplog: pytest.LogCaptureFixture, *, rudely: bool
) -> None:
    async with unharmed(caplog) as here:
        before = len(asyncio.all_tasks())
        async with greeted(here) as peer:
            await peer.send(sent)
            if rudely:
                reset(peer.writer)
            else:
                peer.writer.write_eof()
            await until(lambda: holds_nothing(here) and len(asyncio.all_tasks()) == before)


@pytest.mark.parametrize("rudely", [False, True], ids=["by FIN", "by RST"])
@pytest.mark.parametrize("kept", [0, 1, 20, -1, None])
async def test_a_handshake_that_breaks_off_leaves_nothing_behind(
    kept: int | None, caplog: pytest.LogCaptureFixture, *, rudely: bool
) -> None:
    async with unharmed(caplog) as here:
        before = len(asyncio.all_tasks())
        async with dialled(here) as peer:
            await peer.send(head(user=uuid4())[:kept])
            if rudely:
                reset(peer.writer)
            else:
                peer.writer.write_eof()
            await until(lambda: holds_nothing(here) and len(asyncio.all_tasks()) == before)


async def clogged(here: World, raw: socket.socket) -> None:
    """Open a websocket, and read nothing of what then comes, until more waits than is allowed."""
    user, loop = uuid4(), asyncio.get_running_loop()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.setblocking(False)
    await loop.sock_connect(raw, ("127.0.0.1", here.running.port))
    await loop.sock_sendall(raw, head(user=user))
    await until(lambda: here.running.gateway.hub.count == 1)
    (connection,) = here.running.gateway.connections
    for count in range(1_000):
        if connection.wire.unsent_bytes > connection.limits.unsent_bytes_max:
            return
        await here.publish(user, filler=200_000)
        await until(partial(came, here, user, count))


def came(here: World, user: UUID, offset: int) -> bool:
    return here.running.gateway.feed.latest_of(user).offset == offset


@pytest.mark.parametrize(
    "last",
    [b"", BYE, framed(3), text("{"), text(b"\xff"), framed(CONT)],
    ids=["FIN", "close", "bad opcode", "bad frame", "bad UTF-8", "bad fragment"],
)
async def test_who_takes_nothing_and_says_goodbye_is_cut_in_time(
    last: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """What is still to be sent to it waits for `close_s_max`, and not until it reads."""
    limits = Limits(close_s_max=0.1)
    async with unharmed(caplog, limits) as here:
        with socket.socket() as raw:
            await clogged(here, raw)
            if last:
                await asyncio.get_running_loop().sock_sendall(raw, last)
            else:
                raw.shutdown(socket.SHUT_WR)
            await until(lambda: holds_nothing(here))
