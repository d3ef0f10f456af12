"""Websocket clients that come and go, and remember each event that they were given."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import UUID

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, WebSocketException

from schemas import codec

FRAME_S_MAX = 5.0
AWAY_S_MAX = 1.0
CUT_OFF = 0.5
"""So often a client goes without a word, as one that loses its network does."""


@dataclass
class Listener:
    """One client of one user: it resumes from the position of the last frame it has read."""

    url: str
    user_id: UUID
    token: str
    dice: random.Random
    seen: list[int] = field(default_factory=list)
    closes: Counter[int | None] = field(default_factory=Counter)
    resumed: int = 0
    refused: list[str] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    _position: str | None = None

    async def run(self, wanted: int) -> None:
        """Listen until `wanted` events have come, going away at random moments."""
        while len(self.seen) < wanted:
            try:
                async with self._connect() as websocket:
                    await self._listen(websocket, wanted)
                    if self.dice.random() < CUT_OFF:
                        websocket.transport.abort()
                self.closes[websocket.close_code] += 1
            except (OSError, TimeoutError, WebSocketException, InvalidHandshake):
                self.closes[None] += 1
            await asyncio.sleep(self.dice.uniform(0, AWAY_S_MAX))

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[ClientConnection]:
        query = f"?position={self._position}" if self._position else ""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with connect(
            self.url + query,
            additional_headers=headers,
            proxy=None,
            close_timeout=1,
            open_timeout=5,
        ) as websocket:
            yield websocket

    async def _listen(self, websocket: ClientConnection, wanted: int) -> None:
        until = len(self.seen) + self.dice.randint(1, max(2, wanted // 3))
        while len(self.seen) < min(until, wanted):
            async with asyncio.timeout(FRAME_S_MAX):
                frame = codec.decode(await websocket.recv())
            match frame["type"]:
                case "hello":
                    self._position = self._position or frame["position"]
                    self.ready.set()
                case "event":
                    self._position = frame["position"]
                    self.seen.append(frame["event"]["data"]["number"])
                case "resumed":
                    self.resumed += 1
                    self._position = frame["position"]
                    if not frame["recovered"]:
                        self.refused.append(frame["reason"])


def check_listeners(listeners: Sequence[Listener], events_each: int) -> None:
    """Check that each was given every event of its user once, in order, and none was refused."""
    for listener in listeners:
        assert not listener.refused, f"{listener.user_id} was refused: {listener.refused}"
        assert listener.seen == list(range(events_each)), gap_in(listener.seen)


def gap_in(seen: Sequence[int]) -> str:
    """Tell where a sequence goes wrong."""
    for place, number in enumerate(seen):
        if number != place:
            return f"at {place} came {number}: …{seen[max(0, place - 3) : place + 4]}…"
    return f"only {len(seen)} came"
