"""Who comes in at the gateway, how, and for how long."""

from datetime import timedelta
from uuid import uuid4

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin, Subprotocol

from gateway.limits import Limits
from schemas.tokens import LEEWAY
from tests.integration.gateway_world import PING, auth, closed, frame, hello, token, world


async def test_three_ways_to_say_who_one_is() -> None:
    user = uuid4()
    bearer = [Subprotocol("taskflow.v1"), Subprotocol(f"bearer.{token(user)}")]
    async with world() as here:
        async with here.connect(user) as client:
            assert (await hello(client))["user_id"] == str(user)
            assert client.subprotocol is None
        for offered in (bearer, bearer[::-1]):
            async with here.connect(subprotocols=offered) as client:
                assert (await hello(client))["user_id"] == str(user)
                assert client.subprotocol == "taskflow.v1"
        async with here.connect() as client:
            await client.send(auth(token(user)))
            assert (await hello(client))["user_id"] == str(user)


async def test_a_bad_token_is_told_in_the_way_that_it_came() -> None:
    async with world() as here:
        bad = {"Authorization": "Bearer rubbish"}
        with pytest.raises(InvalidStatus) as raised:
            await here.connect(additional_headers=bad).__aenter__()
        response = raised.value.response
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Content-Type"] == "application/problem+json"
        offered = [Subprotocol("taskflow.v1"), Subprotocol("bearer.rubbish")]
        async with here.connect(subprotocols=offered) as client:
            assert client.subprotocol == "taskflow.v1"
            assert await closed(client) == (4100, "unauthenticated")
        async with here.connect() as client:
            await client.send(auth("rubbish"))
            assert await closed(client) == (4100, "unauthenticated")


async def test_a_client_that_says_nothing_is_closed() -> None:
    async with world(Limits(auth_s_max=0.05)) as here, here.connect() as client:
        assert await closed(client) == (4101, "auth_timeout")


async def test_a_connection_ends_with_its_token_and_goes_on_with_a_fresh_one() -> None:
    user = uuid4()
    soon = timedelta(seconds=1) - LEEWAY
    limits = Limits(auth_s_max=25.0)
    async with world(limits) as here, here.connect() as tired, here.connect() as fresh:
        for client in (tired, fresh):
            await client.send(auth(token(user, soon)))
            await hello(client)
        await fresh.send(auth(token(user)))
        assert await closed(tired) == (4002, "token_expired")
        await fresh.send(PING)
        assert await frame(fresh) == {"type": "pong"}


async def test_another_users_token_does_not_extend() -> None:
    async with world() as here, here.connect(uuid4()) as client:
        await hello(client)
        await client.send(auth(token(uuid4())))
        assert await closed(client) == (4100, "unauthenticated")


async def test_the_own_host_the_allowed_and_no_origin_come_in_and_others_get_403() -> None:
    user = uuid4()
    async with world(cors_origins="https://app.example, https://b.example") as here:
        own = f"http://127.0.0.1:{here.running.port}"
        for origin in (own, "https://app.example", "https://b.example"):
            async with here.connect(user, origin=Origin(origin)) as client:
                await hello(client)
        for origin in ("https://evil.example", "null"):
            with pytest.raises(InvalidStatus) as raised:
                await here.connect(user, origin=Origin(origin)).__aenter__()
            assert raised.value.response.status_code == 403
