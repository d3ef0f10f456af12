"""Clients that keep no rules: they send bytes, at once or slowly, and see what comes."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import monotonic

from tests.stack import Child

WAIT_S_MAX = 45.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back until the connection was closed, and after how long that was."""

    raw: bytes
    seconds: float

    @property
    def statuses(self) -> Sequence[int]:
        return [int(part[:3]) for part in self.raw.split(b"HTTP/1.1 ")[1:]]


def port_of(child: Child) -> int:
    return int(child.ready_url.split(":")[2].partition("/")[0])


@asynccontextmanager
async def connected(
    port: int,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def knock(port: int, parts: Iterable[bytes], *, every_s: float = 0.0) -> Heard:
    """Send parts, with a wait before each but the first, until the other side closes."""
    began = monotonic()
    async with connected(port) as (reader, writer), asyncio.timeout(WAIT_S_MAX):

        async def send() -> None:
            with suppress(OSError):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(every_s)

        sending = asyncio.create_task(send())
        heard = bytearray()
        try:
            with suppress(OSError):
                while chunk := await reader.read(65_536):
                    heard += chunk
        finally:
            sending.cancel()
    return Heard(bytes(heard), monotonic() - began)


@asynccontextmanager
async def crowding(port: int, count: int, first: bytes = b"") -> AsyncIterator[int]:
    """Hold so many connections that say no more than `first`; give how many could be opened."""
    async with asyncio.timeout(WAIT_S_MAX):
        crowd = []
        for _ in range(0, count, 100):
            opened = await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", port) for _ in range(min(100, count))),
                return_exceptions=True,
            )
            crowd += [pair for pair in opened if not isinstance(pair, BaseException)]
            for _, writer in crowd[-len(opened) :]:
                with suppress(OSError):
                    writer.write(first)
    try:
        yield len(crowd)
    finally:
        for _, writer in crowd:
            writer.transport.abort()
