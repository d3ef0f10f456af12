"""A websocket peer made of bytes: it sends what no library would, and reads frame by frame."""

import asyncio
import logging
import socket
import struct
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from hashlib import sha1
from typing import NamedTuple
from uuid import UUID, uuid4

import pytest

from gateway.limits import Limits
from tests.integration.gateway_world import PING, WAIT_S_MAX, World, token, until, world

CONT, TEXT, BINARY, CLOSE, PING_FRAME, PONG_FRAME = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MASK = b"\x37\xfa\x21\x3d"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UNLIMITED = Limits(frames_burst=1_000_000, frames_per_s=1_000_000.0)


class Frame(NamedTuple):
    """What the gateway sent, unmasked and whole, as it sends everything."""

    opcode: int
    payload: bytes


class Answer(NamedTuple):
    """The answer to a request: its status, and its headers by their lower-case names."""

    status: int
    headers: dict[str, str]


PONG_TEXT = Frame(TEXT, b'{"type":"pong"}')
Script = tuple[bytes | Frame | int, ...]
"""Bytes are sent; a frame is expected, and a number is the code of the close frame expected."""


def framed(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    mask: bytes | None = MASK,
    declared: int | None = None,
    width: int | None = None,
) -> bytes:
    """Build a frame, right or wrong: `declared` is the length that it claims, on `width` bytes."""
    size = len(payload) if declared is None else declared
    if width is None:
        width = 0 if size < 126 else 2 if size < 65_536 else 8
    short = {0: size, 2: 126, 8: 127}[width]
    first = bytes([fin << 7 | rsv << 4 | opcode, (mask is not None) << 7 | short])
    length = size.to_bytes(width, "big") if width else b""
    return first + length + (mask or b"") + (masked(payload, mask) if mask else payload)


def masked(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask, as RFC 6455 has it in section 5.3."""
    pad = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(
        len(payload), "big"
    )


def text(payload: str | bytes) -> bytes:
    return framed(TEXT, payload.encode() if isinstance(payload, str) else payload)


def close(code: int, reason: bytes = b"") -> bytes:
    return framed(CLOSE, code.to_bytes(2, "big") + reason)


def fragments(*payloads: bytes, opcode: int = TEXT) -> bytes:
    """Build one message of so many frames."""
    last = len(payloads) - 1
    return b"".join(
        framed(CONT if n else opcode, payload, fin=n == last) for n, payload in enumerate(payloads)
    )


def head(
    *more: str,
    line: str = "GET /ws HTTP/1.1",
    without: Sequence[str] = (),
    user: UUID | None = None,
) -> bytes:
    """Build the head of a request to upgrade, with and without some header lines."""
    lines = [
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {KEY}",
        "Sec-WebSocket-Version: 13",
        *([f"Authorization: Bearer {token(user)}"] if user else []),
    ]
    kept = [header for header in lines if header.partition(":")[0] not in without]
    return "\r\n".join([line, *kept, *more, "", ""]).encode("latin-1")


def accepted(key: str) -> str:
    """Give the answer to a key (RFC 6455, section 4.2.2)."""
    magic = f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return b64encode(sha1(magic.encode(), usedforsecurity=False).digest()).decode()


@dataclass(frozen=True, slots=True)
class RawPeer:
    """One TCP connection to the gateway."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes, chunk: int | None = None) -> None:
        """Write in pieces, and let the gateway read each before the next comes."""
        for start in range(0, len(data), chunk or max(1, len(data))):
            self.writer.write(data[start : start + (chunk or len(data))])
            await asyncio.sleep(0)
        await self.writer.drain()

    async def answer(self) -> Answer | None:
        """Read the head of an answer; None if the connection ended without one."""
        async with asyncio.timeout(WAIT_S_MAX):
            try:
                read = await self.reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                return None
        lines = read.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return Answer(int(lines[0].split(" ")[1]), {k.lower(): v for k, v in headers.items()})

    async def frame(self) -> Frame | None:
        """Read a frame that keeps the rules for servers; None at the end of the connection."""
        async with asyncio.timeout(WAIT_S_MAX):
            first = await self.reader.read(1)
            if not first:
                return None
            (size,) = await self.reader.readexactly(1)
            assert first[0] & 0xF0 == 0x80, "fragmented, or a reserved bit is set"
            assert size < 128, "masked"
            if size >= 126:
                least, width = (126, 2) if size == 126 else (65_536, 8)
                size = int.from_bytes(await self.reader.readexactly(width), "big")
                assert size >= least, "the length is written longer than it must be"
            return Frame(first[0] & 0x0F, await self.reader.readexactly(size))

    async def closed(self) -> int:
        """Read the close frame, answer it, and read the end; give its code, 1005 if it has none."""
        got = await self.frame()
        assert got
        assert got.opcode == CLOSE, got
        await self.send(framed(CLOSE, got.payload))
        after = await self.frame()
        assert after is None, f"{after} after the close frame"
        return int.from_bytes(got.payload[:2], "big") if got.payload else 1005

    async def play(self, script: Script, chunk: int | None = None) -> None:
        """Send and expect; what does not end by a code must leave a connection that lives."""
        for sends, steps in _runs(script):
            if sends:
                await self.send(b"".join(step for step in steps if isinstance(step, bytes)), chunk)
                continue
            for step in steps:
                if isinstance(step, int):
                    code = await self.closed()
                    assert code == step, f"{code} instead of {step}"
                else:
                    got = await self.frame()
                    assert got == step, f"{got!r} instead of {step!r}"
        if not isinstance(script[-1], int):
            await self.lives()

    async def lives(self) -> None:
        """Ask, be answered, and close in peace."""
        await self.play((text(PING), PONG_TEXT, close(1000), 1000))


def _runs(script: Script) -> Iterator[tuple[bool, Sequence[bytes | Frame | int]]]:
    run: list[bytes | Frame | int] = []
    for step in script:
        if run and isinstance(step, bytes) != isinstance(run[0], bytes):
            yield isinstance(run[0], bytes), run
            run = []
        run.append(step)
    yield isinstance(run[0], bytes), run


@asynccontextmanager
async def dialled(here: World) -> AsyncIterator[RawPeer]:
    """Open a TCP connection, and leave none behind."""
    reader, writer = await asyncio.open_connection("127.0.0.1", here.running.port)
    with closing(writer):
        yield RawPeer(reader, writer)


@asynccontextmanager
async def greeted(here: World, user: UUID | None = None) -> AsyncIterator[RawPeer]:
    """Open a websocket, and read the first frame."""
    async with dialled(here) as peer:
        await peer.send(head(user=user or uuid4()))
        answer = await peer.answer()
        assert answer
        assert (answer.status, answer.headers["sec-websocket-accept"]) == (101, accepted(KEY))
        hello = await peer.frame()
        assert hello
        assert hello.payload.startswith(b'{"type":"hello"')
        yield peer


@asynccontextmanager
async def unharmed(
    caplog: pytest.LogCaptureFixture, limits: Limits = UNLIMITED
) -> AsyncIterator[World]:
    """Run a gateway that afterwards holds nothing, serves the next one, and has logged no fault."""
    async with world(limits) as here:
        yield here
        await until(lambda: holds_nothing(here))
        async with greeted(here) as peer:
            await peer.lives()
        await until(lambda: holds_nothing(here))
    faults = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert not faults, faults


async def play_whole_and_torn(
    script: Script, caplog: pytest.LogCaptureFixture, user: UUID | None = None
) -> None:
    """Play a script twice: each run of bytes written at once, and in many pieces."""
    size = sum(len(step) for step in script if isinstance(step, bytes))
    async with unharmed(caplog) as here:
        for chunk in (None, max(1, size // 200)):
            async with greeted(here, user) as peer:
                await peer.play(script, chunk)


def reset(writer: asyncio.StreamWriter) -> None:
    """Break off by RST: what is on its way is lost, on both sides."""
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def holds_nothing(here: World) -> bool:
    """Tell whether no connection is left, and nothing that was counted for one."""
    gateway = here.running.gateway
    return not (gateway.connections or gateway.hub.count or gateway.addresses._held)
