"""Sessions that are revoked, and users that are deleted: closed at once, and not let in again."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.typing import Subprotocol

from gateway.server import open_gateway
from schemas.events import SESSION_REVOKED, USER_DELETED
from schemas.topics import TASK_UPDATES
from streams.transport.memory import MemoryTransport
from tests.integration.gateway_world import (
    KEY,
    PING,
    FaultyLog,
    World,
    auth,
    closed,
    frame,
    hello,
    publish,
    settings_of_a_test,
    until,
    world,
)

REVOKED = (4106, "revoked")
CLOSED_S_MAX = 1.0


def token_of(user: UUID, session: UUID) -> str:
    return KEY.issue(user, session, datetime.now(UTC))


def bearer(user: UUID, session: UUID) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token_of(user, session)}"}


async def revoke(log: MemoryTransport, user: UUID, session: UUID) -> None:
    await publish(log, user, type_=SESSION_REVOKED, subject=session)


async def delete(log: MemoryTransport, user: UUID) -> None:
    await publish(log, user, type_=USER_DELETED, subject=user)


async def enter(here: World, user: UUID, session: UUID) -> ClientConnection:
    client = await here.connect(additional_headers=bearer(user, session)).__aenter__()
    await hello(client)
    return client


async def lives(client: ClientConnection) -> None:
    """Read on until the answer to a ping, and find no close frame before it."""
    await client.send(PING)
    while (await frame(client))["type"] != "pong":
        pass


async def test_a_revoked_session_is_closed_within_a_second_and_no_other_is() -> None:
    user, other, session = uuid4(), uuid4(), uuid4()
    async with world() as here:
        ended = [await enter(here, user, session) for _ in range(3)]
        kept = [await enter(here, user, uuid4()), await enter(here, other, session)]
        await revoke(here.log, user, session)
        async with asyncio.timeout(CLOSED_S_MAX):
            for client in ended:
                assert await closed(client) == REVOKED
        for client in kept:
            await lives(client)
            await client.close()


async def test_a_deleted_user_is_closed_within_a_second_in_every_session() -> None:
    user, other = uuid4(), uuid4()
    async with world() as here:
        ended = [await enter(here, user, uuid4()) for _ in range(3)]
        kept = await enter(here, other, uuid4())
        await delete(here.log, user)
        async with asyncio.timeout(CLOSED_S_MAX):
            for client in ended:
                assert await closed(client) == REVOKED
        await lives(kept)
        await kept.close()
        async with here.connect(additional_headers=bearer(user, uuid4())) as again:
            assert await closed(again) == REVOKED


async def test_nobody_revokes_the_session_of_another_user() -> None:
    """An event counts for the user whose it is, whatever session it names."""
    user, stranger, session = uuid4(), uuid4(), uuid4()
    async with world() as here:
        client = await enter(here, user, session)
        await revoke(here.log, stranger, session)
        await publish(here.log, stranger, type_=USER_DELETED, subject=user)
        await until(lambda: len(here.running.gateway.revocations._until) == 2)
        await lives(client)
        await client.close()


def ways(user: UUID, session: UUID) -> Mapping[str, Mapping[str, Any]]:
    """Give what `connect` takes for each way to show a token; for a frame, nothing."""
    offered = [Subprotocol("taskflow.v1"), Subprotocol(f"bearer.{token_of(user, session)}")]
    return {
        "header": {"additional_headers": bearer(user, session)},
        "subprotocol": {"subprotocols": offered},
        "frame": {},
    }


@pytest.mark.parametrize("way", ["header", "subprotocol", "frame"])
@pytest.mark.parametrize("late", [False, True], ids=["live", "started after the event"])
async def test_a_token_of_a_revoked_session_is_refused(way: str, *, late: bool) -> None:
    user, session = uuid4(), uuid4()
    settings = settings_of_a_test()
    log = FaultyLog(settings)
    await log.create_topics([TASK_UPDATES])
    if late:
        await revoke(log, user, session)
    async with open_gateway(settings, log) as running:
        here = World(log, running)
        await until(lambda: running.tail.trouble is None)
        if not late:
            await revoke(log, user, session)
            await until(lambda: bool(running.gateway.revocations._until))
        async with here.connect(**ways(user, session)[way]) as client:
            if way == "frame":
                await client.send(auth(token_of(user, session)))
            assert await closed(client) == REVOKED
        async with here.connect(**ways(user, uuid4())["header"]) as client:
            position = quote((await hello(client))["position"])
        headers = ways(user, session)["header"]
        async with here.connect(path=f"/ws?position={position}", **headers) as client:
            assert await closed(client) == REVOKED


async def test_a_fresh_token_of_a_revoked_session_ends_the_connection_that_it_would_extend() -> (
    None
):
    user, revoked = uuid4(), uuid4()
    async with world() as here:
        await revoke(here.log, user, revoked)
        await until(lambda: bool(here.running.gateway.revocations._until))
        client = await enter(here, user, uuid4())
        await client.send(auth(token_of(user, revoked)))
        assert await closed(client) == REVOKED
        await until(lambda: not here.running.gateway.hub.count)


async def test_a_connection_belongs_to_the_session_of_its_latest_token() -> None:
    user, first, second = uuid4(), uuid4(), uuid4()
    async with world() as here:
        client = await enter(here, user, first)
        await client.send(auth(token_of(user, second)))
        await lives(client)
        await revoke(here.log, user, first)
        assert (await frame(client))["event"]["type"] == SESSION_REVOKED
        await lives(client)
        await revoke(here.log, user, second)
        assert await closed(client) == REVOKED
