"""The gateway while its log is missing, away, or another one; and what machines ask of it."""

import asyncio
from uuid import uuid4

import pytest

from gateway.limits import Limits
from schemas.topics import TASK_UPDATES
from streams.transport.interface import (
    OffsetOutOfRangeError,
    TransportUnavailableError,
    UnknownTopicError,
)
from tests.integration.gateway_world import (
    SEAL,
    closed,
    frame,
    hello,
    until,
    world,
)


async def test_machines_are_answered_over_http() -> None:
    async with world() as here:
        live = await asyncio.to_thread(here.get, "/health/live")
        assert (live.status_code, live.json()) == (200, {"status": "ok"})
        ready = await asyncio.to_thread(here.get, "/health/ready")
        assert ready.status_code == 200
        assert ready.json() == {"status": "ready", "checks": {"log": "ok", "tail": "ok"}}
        shown = await asyncio.to_thread(here.get, "/metrics")
        assert "taskflow_gateway_connections" in shown.text
        lost = await asyncio.to_thread(here.get, "/")
        assert (lost.status_code, lost.json()["type"]) == (404, "urn:taskflow:problem:not-found")
        assert (await asyncio.to_thread(here.get, "/ws")).status_code == 426


async def test_a_missing_topic_is_told_and_waited_for() -> None:
    user = uuid4()
    async with world(Limits(retry_s_max=0.05), topics=False) as here:
        await until(lambda: "missing" in (here.running.tail.trouble or ""))
        ready = await asyncio.to_thread(here.get, "/health/ready")
        assert ready.status_code == 503
        assert "taskflow topics" in ready.json()["checks"]["tail"]
        async with here.connect(user) as client:
            assert await closed(client) == (4004, "log_unavailable")
        await here.log.create_topics([TASK_UPDATES])
        await until(lambda: here.running.tail.trouble is None)
        async with here.connect(user) as client:
            await hello(client)


async def test_clients_stay_while_the_log_is_away_and_miss_nothing() -> None:
    user = uuid4()
    async with world(Limits(retry_s_max=0.05)) as here, here.connect(user) as client:
        await hello(client)
        here.log.fault = TransportUnavailableError("on request")
        await until(lambda: here.running.tail.trouble is not None)
        ready = await asyncio.to_thread(here.get, "/health/ready")
        assert ready.status_code == 503
        places = [await here.publish(user) for _ in range(3)]
        here.log.fault = None
        got = [SEAL.read((await frame(client))["position"], user).offset for _ in range(3)]
        assert got == [place.offset for place in places]
        assert here.log.tails > 1


@pytest.mark.parametrize("fault", [OffsetOutOfRangeError("gone"), UnknownTopicError("gone")])
async def test_a_tail_that_cannot_go_on_closes_all_and_begins_anew(fault: Exception) -> None:
    user = uuid4()
    async with world(Limits(retry_s_max=0.05)) as here, here.connect(user) as client:
        await hello(client)
        here.log.fault = fault
        assert await closed(client) == (4004, "log_unavailable")
        assert not here.running.gateway.feed.begun
        here.log.fault = None
        await until(lambda: here.running.tail.trouble is None)
        async with here.connect(user) as again:
            await hello(again)
            await here.publish(user)
            assert (await frame(again))["type"] == "event"
