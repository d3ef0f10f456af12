"""RFC 6455, section 4: which requests become websockets, and what the others are answered."""

import asyncio
from uuid import uuid4

import pytest

from gateway.limits import Limits
from tests.integration.gateway_world import WAIT_S_MAX, until
from tests.integration.raw_socket import (
    KEY,
    Answer,
    accepted,
    dialled,
    framed,
    head,
    holds_nothing,
    unharmed,
)

REFUSED = {
    "another method": (head(line="POST /ws HTTP/1.1"), 405),
    "a method in lower case": (head(line="get /ws HTTP/1.1"), 405),
    "HTTP/1.0": (head(line="GET /ws HTTP/1.0"), 505),
    "another path": (head(line="GET /other HTTP/1.1"), 404),
    "no Host": (head(without=["Host"]), 400),
    "two Hosts": (head("Host: 127.0.0.1"), 400),
    "no Upgrade": (head(without=["Upgrade"]), 426),
    "another Upgrade": (head("Upgrade: h2c", without=["Upgrade"]), 426),
    "no Connection": (head(without=["Connection"]), 426),
    "another Connection": (head("Connection: keep-alive", without=["Connection"]), 426),
    "a Connection that is no list": (head('Connection: "', without=["Connection"]), 400),
    "no key": (head(without=["Sec-WebSocket-Key"]), 400),
    "two keys": (head(f"Sec-WebSocket-Key: {KEY}"), 400),
    **{
        f"the key {key!r}": (head(f"Sec-WebSocket-Key: {key}", without=["Sec-WebSocket-Key"]), 400)
        for key in ("", "c2hvcnQ=", KEY[:-1], KEY[:-4], "é" * 24, f"AAAA{KEY}", "*" * 24)
    },
    "no version": (head(without=["Sec-WebSocket-Version"]), 400),
    "two versions": (head("Sec-WebSocket-Version: 8"), 400),
    **{
        f"version {n!r}": (
            head(f"Sec-WebSocket-Version: {n}", without=["Sec-WebSocket-Version"]),
            400,
        )
        for n in ("", "0", "8", "12", "14", "130", "13, 8", "-13", "0xd", "+13")
    },
    "subprotocols that are no list": (head('Sec-WebSocket-Protocol: "'), 400),
    "a request line of 9,000 bytes": (head(line=f"GET /ws?{'x' * 9_000} HTTP/1.1"), 414),
    "a header of 9,000 bytes": (head(f"X-Long: {'x' * 9_000}"), 431),
    "130 headers": (head(*(f"X-{n}: 1" for n in range(130))), 431),
}
ACCEPTED = {
    "the least": head(),
    "other cases": head(
        "HOST: x",
        "UPGRADE: WebSocket",
        "CONNECTION: upgrade",
        without=["Host", "Upgrade", "Connection"],
    ),
    "a Connection with more": head("Connection: keep-alive, Upgrade", without=["Connection"]),
    "two Connections": head("Connection: keep-alive"),
    "an extension that we do not have": head("Sec-WebSocket-Extensions: x-mux; max=4, bbf-usp"),
    "a subprotocol that we do not have": head("Sec-WebSocket-Protocol: chat"),
    "bytes of Latin-1": head("X-Name: Zoë"),
    "a query": head(line="GET /ws?%ff=%00&&= HTTP/1.1"),
}
MALFORMED = {
    "nothing": b"\r\n\r\n",
    "no request line": b"GET\r\n\r\n",
    "another protocol": head(line="GET /ws HTTP/2.0"),
    "a path that is not ASCII": head(line="GET /wß HTTP/1.1"),
    "a header without a colon": head("Host"),
    "a header with a space before its colon": head("Host : x"),
    "a folded header": head("X-Folded: a", " b"),
    "a NUL in a header": head("X-Nul: \0"),
    "lines that end with LF": head().replace(b"\r\n", b"\n"),
    "a body": head("Content-Length: 3") + b"abc",
    "a body in chunks": head("Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "frames": framed(1, b"x") * 5 + b"\n",
    "TLS": bytes.fromhex("16030100f8010000f40303") + b"\n" * 50,
}


@pytest.mark.parametrize(("sent", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_request_that_is_no_upgrade_is_told_so_and_the_connection_ends(
    sent: bytes, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(caplog) as here:
        for chunk in (None, max(1, len(sent) // 200)):
            async with dialled(here) as peer:
                await peer.send(sent, chunk)
                answer = await peer.answer()
                assert answer
                assert (answer.status, answer.headers["connection"]) == (status, "close")
                await ended(peer.reader)


async def ended(reader: asyncio.StreamReader) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        await reader.read()


async def answer_to(sent: bytes, caplog: pytest.LogCaptureFixture) -> Answer:
    async with unharmed(caplog) as here, dialled(here) as peer:
        await peer.send(sent)
        answer = await peer.answer()
        assert answer
        return answer


@pytest.mark.parametrize("version", ["8", "14", "x", None])
async def test_who_speaks_another_version_is_told_which_we_speak(
    version: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 6455, sections 4.2.2 and 4.4."""
    more = [f"Sec-WebSocket-Version: {version}"] if version else []
    answer = await answer_to(head(*more, without=["Sec-WebSocket-Version"]), caplog)
    assert answer.headers["sec-websocket-version"] == "13"


async def test_who_does_not_upgrade_is_told_to_what(caplog: pytest.LogCaptureFixture) -> None:
    answer = await answer_to(head(without=["Upgrade", "Connection"]), caplog)
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


@pytest.mark.parametrize("sent", ACCEPTED.values(), ids=ACCEPTED)
async def test_a_request_to_upgrade_is_answered_by_its_key_and_nothing_is_promised(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(caplog) as here, dialled(here) as peer:
        await peer.send(sent, 1)
        answer = await peer.answer()
        assert answer
        assert answer.status == 101
        assert answer.headers.pop("date")
        assert answer.headers == {
            "upgrade": "websocket",
            "connection": "Upgrade",
            "sec-websocket-accept": accepted(KEY),
        }


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=MALFORMED)
async def test_what_is_no_request_ends_the_connection(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(caplog) as here, dialled(here) as peer:
        await peer.send(sent)
        await ended(peer.reader)


@pytest.mark.parametrize("sent", [b"", b"GET /w", head()[:-2], head()[:-1]])
async def test_a_slow_request_is_not_waited_for(
    sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(caplog, Limits(open_s_max=0.1)) as here, dialled(here) as peer:
        await peer.send(sent)
        await ended(peer.reader)


async def test_a_request_without_end_is_not_waited_for(caplog: pytest.LogCaptureFixture) -> None:
    """Who sends a header now and then has `open_s_max` for all of them together."""
    async with unharmed(caplog, Limits(open_s_max=0.3)) as here, dialled(here) as peer:
        await peer.send(b"GET /ws HTTP/1.1\r\n")
        ending = asyncio.create_task(ended(peer.reader))
        while not ending.done():
            await peer.send(b"X: 1\r\n")
            await asyncio.wait({ending}, timeout=0.02)
        await ending


@pytest.mark.parametrize(
    "early",
    [
        framed(9, b"early"),
        framed(1, b"{"),
        framed(8),
        framed(3),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\r\n",
    ],
    ids=["a ping", "a text", "a close", "a bad frame", "another request", "an empty line"],
)
@pytest.mark.parametrize("upgrade", [True, False])
async def test_who_does_not_wait_for_the_answer_harms_nobody(
    early: bytes, caplog: pytest.LogCaptureFixture, *, upgrade: bool
) -> None:
    """A client must wait (section 4.1); one that does not may be left without an answer."""
    sent = head(user=uuid4()) if upgrade else head(line="GET /health/live HTTP/1.1")
    async with unharmed(caplog) as here:
        async with dialled(here) as peer:
            await peer.send(sent + early)
            peer.writer.write_eof()
            await ended(peer.reader)
        await until(lambda: holds_nothing(here))
