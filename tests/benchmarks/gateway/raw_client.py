"""A websocket client that costs next to nothing: it parses as little as the measurements need."""

import asyncio
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, cast

from schemas import codec

_TEXT, _CLOSE, _PING = 0x81, 0x88, 0x89
_EVENT = b'{"type":"event","position":"'
_NUMBER = b'"number":'
_POSITION = slice(len(_EVENT), len(_EVENT) + 48)
_KEY = b64encode(b"k" * 16).decode()
_PONG = bytes([0x8A, 0x80]) + b"mask"  # an empty pong, whose mask masks nothing


@dataclass(slots=True, eq=False)
class RawClient(asyncio.Protocol):
    """One client of one user. `events` are the numbers that came, and by the monotonic clock when.

    `settled` is called once a connection: with True when it can wait for live events, with False
    when it ended before.
    """

    user: str
    token: str
    events: list[tuple[int, float]] = field(default_factory=list)
    position: str | None = None
    recovered: bool | None = None
    close_code: int | None = None
    connected: bool = False
    settled: Callable[[bool], None] | None = None
    transport: asyncio.Transport | None = None
    _resumes: bool = False
    _upgraded: bool = False
    _rest: bytes = b""

    def begin(self, settled: Callable[[bool], None]) -> None:
        """Forget the last connection, but for where it ended."""
        self.settled, self._resumes = settled, self.position is not None
        self.recovered = self.close_code = None
        self._upgraded, self._rest = False, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.connected = True
        query = f"?position={self.position}" if self.position else ""
        self.transport.write(
            f"GET /ws{query} HTTP/1.1\r\nHost: gateway\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {_KEY}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {self.token}\r\n\r\n".encode()
        )

    def connection_lost(self, _: Exception | None) -> None:
        self.connected = False
        self._settle(well=False)

    def data_received(self, data: bytes) -> None:
        now = monotonic()
        data = self._rest + data if self._rest else data
        at = 0 if self._upgraded else self._upgrade(data)
        while at is not None and (end := _end_of_frame(data, at)):
            start, stop = end
            self._take(data[at], data[start:stop], now)
            at = stop
        self._rest = data[at or 0 :]

    def _upgrade(self, data: bytes) -> int | None:
        """Give where the frames begin, once the whole answer is here."""
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        if not data.startswith(b"HTTP/1.1 101"):
            self.close_code = int(data[9:12])
        self._upgraded = True
        return end + 4

    def _take(self, first: int, payload: bytes, now: float) -> None:
        if first == _TEXT and payload.startswith(_EVENT):
            self.position = payload[_POSITION].decode()
            begin = payload.index(_NUMBER) + len(_NUMBER)
            self.events.append((int(payload[begin : payload.index(b",", begin)]), now))
        elif first == _TEXT:
            self._hear(codec.decode(payload))
        elif first == _PING and self.transport:
            self.transport.write(_PONG)
        elif first == _CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big")
            if self.transport:
                self.transport.close()

    def _hear(self, frame: dict[str, Any]) -> None:  # a frame's members differ by its type
        if frame["type"] == "resumed":
            self.recovered = frame["recovered"]
            self.position = frame["position"]
            self._settle(well=True)
        elif not self._resumes:
            self.position = frame["position"]
            self._settle(well=True)

    def _settle(self, *, well: bool) -> None:
        if self.settled:
            self.settled(well)
            self.settled = None


def _end_of_frame(data: bytes, at: int) -> tuple[int, int] | None:
    """Give where a frame's payload begins and ends; None if not all of it is here."""
    if len(data) < at + 2:
        return None
    length, start = data[at + 1], at + 2
    if length >= 126:
        start += 2 if length == 126 else 8
        if len(data) < start:
            return None
        length = int.from_bytes(data[at + 2 : start], "big")
    return (start, start + length) if len(data) >= start + length else None
