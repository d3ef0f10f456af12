"""Websocket clients that come and go, and resume from the position of the last frame they read."""

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from schemas import codec
from schemas.codec import JsonObject
from tests.campaign.clients import User
from tests.campaign.history import Heard, Visit

FRAME_S_MAX = 30.0
STAY_S_MAX = 20.0
AWAY_S_MAX = 2.0


@dataclass(slots=True)
class Listener:
    """One client; `stays` is one that goes only when it is thrown out."""

    url: str
    user: User
    heard: Heard
    dice: random.Random
    stays: bool = False
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    subjects: dict[str, set[str]] = field(default_factory=dict)
    """The types of the events of each subject, for one that waits for them."""
    _position: str | None = None
    _known: set[UUID] = field(default_factory=set)

    async def run(self) -> None:
        """Listen until cancelled."""
        while True:
            with suppress(OSError, TimeoutError, WebSocketException, InvalidHandshake):
                await self._visit()
            await asyncio.sleep(self.dice.uniform(0.05, AWAY_S_MAX if not self.stays else 0.2))

    async def _visit(self) -> None:
        query = f"?position={self._position}" if self._position else ""
        async with connect(
            self.url + query,
            additional_headers=dict(self.user.headers),
            proxy=None,
            close_timeout=1,
            open_timeout=5,
        ) as websocket:
            stay_s = None if self.stays else self.dice.uniform(1, STAY_S_MAX)
            with suppress(TimeoutError):
                async with asyncio.timeout(stay_s):
                    await self._listen(websocket)
            if self.dice.random() < 0.5:
                websocket.transport.abort()

    async def _listen(self, websocket: ClientConnection) -> None:
        while True:
            frame = codec.decode(await websocket.recv())
            match frame["type"]:
                case "hello":
                    self._position = self._position or frame["position"]
                    self.ready.set()
                case "event":
                    self._take(frame)
                case "resumed":
                    self._note_resumed(frame)

    def _take(self, frame: JsonObject) -> None:
        event = frame["event"]
        self._position = frame["position"]
        self.heard.visits[-1].events.append(UUID(event["id"]))
        self.subjects.setdefault(event["subject"], set()).add(event["type"])
        if event["partitionkey"] != str(self.user.id):
            self.heard.foreign.append(UUID(event["id"]))

    def _note_resumed(self, frame: JsonObject) -> None:
        self.heard.resumed += 1
        self._position = frame["position"]
        if not frame["recovered"]:
            self.heard.visits.append(Visit(frame.get("reason", "no reason")))
