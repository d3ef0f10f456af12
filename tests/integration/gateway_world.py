"""A running gateway with its log in memory, and what its tests do to it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from prometheus_client import REGISTRY
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from gateway.limits import Limits
from gateway.moment import Moment
from gateway.server import Running, open_gateway
from schemas.events import TaskEventType
from schemas.ids import new_id
from schemas.positions import PositionSeal
from schemas.settings import Settings
from schemas.tokens import LIFETIME, TokenKey
from schemas.topics import TASK_UPDATES
from streams.transport.interface import (
    Headers,
    Message,
    Place,
    Record,
    Tail,
    TransportUnavailableError,
)
from streams.transport.memory import MemoryTransport

SECRET = "s" * 32
KEY = TokenKey(SECRET)
SEAL = PositionSeal.from_secret(SECRET)
PING = '{"type":"ping"}'
WAIT_S_MAX = 10.0

Frame = dict[str, Any]  # what a client reads is looked at key by key


class FaultyLog(MemoryTransport):
    """The log in memory, whose tails fail on request."""

    fault: Exception | None = None
    tails: int = 0

    @asynccontextmanager
    async def tail(self, topic: str, positions: Mapping[int, int]) -> AsyncIterator[Tail]:
        self.tails += 1
        async with super().tail(topic, positions) as tail:
            yield FaultyTail(self, tail)

    async def check(self) -> None:
        if self.fault:
            raise TransportUnavailableError("on request")


@dataclass
class FaultyTail:
    log: FaultyLog
    tail: Tail

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        if self.log.fault:
            raise self.log.fault
        return await self.tail.read(records_max, min(timeout_s, 0.02))


@dataclass
class World:
    """One running gateway and its log."""

    log: FaultyLog
    running: Running
    users: dict[str, UUID] = field(default_factory=dict)

    def connect(
        self, user_id: UUID | None = None, path: str = "/ws", **options: Any
    ) -> AbstractAsyncContextManager[ClientConnection]:
        """Open a websocket, with a user's token in the header if there is a user."""
        if user_id:
            options["additional_headers"] = {"Authorization": f"Bearer {token(user_id)}"}
        options.setdefault("ping_interval", None)
        options.setdefault("max_size", None)
        return connect(f"ws://127.0.0.1:{self.running.port}{path}", **options)

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"http://127.0.0.1:{self.running.port}{path}", trust_env=False)

    async def publish(
        self,
        user_id: UUID,
        event_id: UUID | None = None,
        headers: Headers = (),
        filler: int = 0,
        **more: Any,
    ) -> Place:
        return await publish(self.log, user_id, event_id, headers, filler, **more)


async def publish(
    log: MemoryTransport,
    user_id: UUID,
    event_id: UUID | None = None,
    headers: Headers = (),
    filler: int = 0,
    *,
    type_: str = TaskEventType.CREATED,
    subject: UUID | None = None,
) -> Place:
    """Publish one event of a user's to task-updates."""
    envelope = {
        "specversion": "1.0",
        "id": str(event_id or new_id()),
        "source": "/taskflow/api",
        "type": type_,
        "subject": str(subject or uuid4()),
        "time": "2027-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": str(user_id),
        "data": {"filler": "x" * filler},
    }
    key, value = str(user_id).encode(), json.dumps(envelope).encode()
    return await log.publish(Message(TASK_UPDATES.name, key, value, headers))


def settings_of_a_test(**given: Any) -> Settings:
    """Settings that no environment touches, with a port that the kernel chooses."""
    made = Settings(_env_file=None, jwt_secret=SECRET, kafka_partitions=4, **given)
    return made.model_copy(update={"gateway_port": given.get("gateway_port", 0)})


@asynccontextmanager
async def world(
    limits: Limits | None = None,
    *,
    topics: bool = True,
    clock: Callable[[], Moment] = Moment.now,
    **settings: Any,
) -> AsyncIterator[World]:
    given = settings_of_a_test(**settings)
    log = FaultyLog(given)
    if topics:
        await log.create_topics([TASK_UPDATES])
    async with open_gateway(given, log, limits, clock) as running:
        made = World(log, running)
        if topics:
            await until(lambda: running.tail.trouble is None)
        yield made
    await log.aclose()


def token(user_id: UUID, lives: timedelta = LIFETIME, session: UUID | None = None) -> str:
    return KEY.issue(user_id, session or uuid4(), datetime.now(UTC) - LIFETIME + lives)


def auth(text: str) -> str:
    return json.dumps({"type": "auth", "token": text})


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S_MAX):
        while not holds():  # noqa: ASYNC110 (the condition is the gateway's own, it sets no event)
            await asyncio.sleep(0.005)


async def frame(client: ClientConnection) -> Frame:
    async with asyncio.timeout(WAIT_S_MAX):
        read: Frame = json.loads(await client.recv(decode=True))
    return read


async def hello(client: ClientConnection) -> Frame:
    first = await frame(client)
    assert first["type"] == "hello", first
    return first


async def closed(client: ClientConnection) -> tuple[int, str]:
    """Read on to the end, and give the code and reason of the close frame."""
    end: ConnectionClosed | None = None
    async with asyncio.timeout(WAIT_S_MAX):
        while not end:
            try:
                await client.recv()
            except ConnectionClosed as raised:
                end = raised
    assert end.rcvd, "cut off without a close frame"
    return end.rcvd.code, end.rcvd.reason


async def refused(here: World, user_id: UUID | None = None, **options: Any) -> Response:
    """Try to connect, and give the HTTP answer that comes instead of an upgrade."""
    with pytest.raises(InvalidStatus) as raised:
        await here.connect(user_id, **options).__aenter__()
    return raised.value.response


def counted(metric: str, reason: str) -> float:
    """Give how often the gateways of this process have done something for a reason."""
    return REGISTRY.get_sample_value(metric, {"reason": reason}) or 0.0
