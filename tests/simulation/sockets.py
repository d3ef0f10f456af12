"""A client of the gateway, and its socket as the gateway sees it; there is no network between."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from websockets.exceptions import ConnectionClosedError

from gateway.protocol import Entry
from schemas.frames import Close
from schemas.tokens import Claims
from tests.simulation.chance import Chance, Fault
from tests.simulation.process import Stage

FRAMES_LOST_MAX = 3
AWAY_S_MAX = 0.5
Frame = Mapping[str, Any]  # what a client reads is looked at key by key


class Socket:
    """What `gateway.connection` needs of its wire."""

    def __init__(self, chance: Chance) -> None:
        self.heard: Callable[[], None] | None = None
        self.entry = Entry()
        self.closed = asyncio.Event()
        self.close: Close | None = None
        self.came = asyncio.Event()
        self._chance = chance
        self._frames: list[bytes] = []

    @property
    def unsent_bytes(self) -> int:
        return sum(map(len, self._frames))

    def forget_request(self) -> None:
        """Keep the entry: it is no header here."""

    async def recv(self) -> str:
        await self.closed.wait()
        raise ConnectionClosedError(None, None)

    def write_text(self, frame: bytes) -> None:
        if not self.closed.is_set():
            self._frames.append(frame)
            self.came.set()

    def write_ping(self) -> None:
        """Be heard: a client's library answers by itself."""
        if self.heard:
            self.heard()

    def write_close(self, close: Close) -> None:
        self.close = close
        self.closed.set()
        self.came.set()

    def cut_later(self) -> None:
        """Cut it: nobody waits here."""
        self.closed.set()
        self.came.set()

    def cut(self) -> None:
        """Lose what is on its way, as when the gateway's process ends."""
        if not self.closed.is_set():
            lost = self._chance.random.randrange(FRAMES_LOST_MAX)
            del self._frames[len(self._frames) - min(lost, len(self._frames)) :]
            self.cut_later()

    async def drain(self) -> None:
        while self._frames and not self.closed.is_set():  # noqa: ASYNC110 (a poll, by fake time)
            await asyncio.sleep(0.01)

    def take(self) -> bytes | None:
        """Give the next frame to the client."""
        return self._frames.pop(0) if self._frames else None


@dataclass
class Client:
    """A browser that is open: it reads, and comes back with its position whenever it is closed."""

    stage: Stage
    name: str
    user_id: UUID
    claims: Callable[[], Claims]
    gateway: Callable[[], Callable[[Socket, Entry], None] | None]
    position: str | None = None
    since: str | None = None
    """From this position on `event_ids` are what came."""
    event_ids: list[str] = field(default_factory=list)
    reloads: int = 0
    refused: list[str] = field(default_factory=list)
    chance: Chance = field(init=False)

    def __post_init__(self) -> None:
        self.chance = self.stage.chance.apart(self.name)

    async def run(self) -> None:
        """Stay connected."""
        while True:
            connect = self.gateway()
            if connect is not None:
                await self._read(connect)
            await asyncio.sleep(self.chance.between(0.01, AWAY_S_MAX))

    async def _read(self, connect: Callable[[Socket, Entry], None]) -> None:
        socket = Socket(self.chance)
        connect(socket, Entry(claims=self.claims(), position=self.position))
        while True:
            if (frame := socket.take()) is not None:
                await asyncio.sleep(self.chance.latency_s())
                self._take(json.loads(frame))
            elif socket.closed.is_set():
                break
            elif self.chance.strikes(Fault.CUT):
                socket.cut()
            else:
                socket.came.clear()
                await socket.came.wait()
        if socket.close and not socket.close.comes_back:
            self.refused.append(socket.close.reason)

    def _take(self, frame: Frame) -> None:
        self.stage.note(self.name, f"{frame['type']} {frame.get('recovered', '')}")
        if frame["type"] == "hello" and self.position is None:
            self._begin_at(frame["position"])
        elif frame["type"] == "resumed" and not frame["recovered"]:
            self.reloads += 1
            self._begin_at(frame["position"])
        elif frame["type"] == "resumed":
            self.position = frame["position"]
        elif frame["type"] == "event":
            self.position = frame["position"]
            self.event_ids.append(frame["event"]["id"])

    def _begin_at(self, position: str) -> None:
        self.position = self.since = position
        self.event_ids.clear()
