"""The health port of a process that serves nothing else: /health/live, /health/ready, /metrics.

It speaks as little HTTP as its callers need, and owes a stranger nothing: a connection is good for
one request, for a few seconds, and there are only so many.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus

from schemas.settings import Settings
from streams.observability import metrics
from streams.observability.health import LIVE, Health

HEAD_BYTES_MAX = 8_192
"""Of a request; a longer one is 431."""
EXCHANGE_S_MAX = 5.0
"""For a request and the taking of its answer; after it the connection is cut."""
CONNECTIONS_MAX = 100
"""At a time; beyond it the oldest is cut, so that a probe always comes through."""

_JSON = "application/json"
_PATHS = frozenset({"/health/live", "/health/ready", "/metrics"})

Answer = tuple[HTTPStatus, str, bytes]
"""The status, the content type and the body."""


@asynccontextmanager
async def health_port(settings: Settings, health: Health) -> AsyncIterator[None]:
    """Listen on HEALTH_PORT while the context is open; without that setting, do nothing."""
    if settings.health_port is None:
        yield
        return
    door = _Door(health)
    server = await asyncio.start_server(
        door.serve, settings.health_host, settings.health_port, limit=HEAD_BYTES_MAX
    )
    try:
        yield
    finally:
        server.close()
        door.cut_all()


@dataclass(slots=True)
class _Door:
    health: Health
    _open: dict[asyncio.StreamWriter, None] = field(default_factory=dict)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close; whatever fails on the way ends only this connection."""
        if len(self._open) >= CONNECTIONS_MAX:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()
        self._open[writer] = None
        try:
            with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                async with asyncio.timeout(EXCHANGE_S_MAX):
                    await _write(writer, *await self._answer(reader))
        finally:
            self._open.pop(writer, None)
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        match head.partition(b"\r\n")[0].split(b" "):
            case [b"GET", target, b"HTTP/1.1" | b"HTTP/1.0"]:
                return await self._found(target.partition(b"?")[0].decode("latin-1"))
            case [_, target, b"HTTP/1.1" | b"HTTP/1.0"]:
                known = target.partition(b"?")[0].decode("latin-1") in _PATHS
                return _plain(HTTPStatus.METHOD_NOT_ALLOWED if known else HTTPStatus.NOT_FOUND)
            case _:
                return _plain(HTTPStatus.BAD_REQUEST)

    async def _found(self, path: str) -> Answer:
        match path:
            case "/health/live":
                return HTTPStatus.OK, _JSON, LIVE
            case "/health/ready":
                well, body = await self.health.ready()
                return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, _JSON, body
            case "/metrics":
                return HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.render()
            case _:
                return _plain(HTTPStatus.NOT_FOUND)

    def cut_all(self) -> None:
        """End what is open."""
        for writer in tuple(self._open):
            writer.transport.abort()


def _plain(status: HTTPStatus) -> Answer:
    return status, "text/plain", status.phrase.encode()


async def _write(
    writer: asyncio.StreamWriter, status: HTTPStatus, content_type: str, body: bytes
) -> None:
    """Send an answer, and wait until the client has closed or taken it."""
    lines = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(("Allow: GET",) if status is HTTPStatus.METHOD_NOT_ALLOWED else ()),
        "Connection: close",
    )
    writer.write("\r\n".join((*lines, "", "")).encode() + body)
    writer.close()
    await writer.wait_closed()
