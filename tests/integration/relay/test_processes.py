"""Relays as processes: one leads, and whoever it is may be killed, stopped, woken or ended."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import httpx
import pytest

from schemas.settings import Settings
from streams.store.database import Database, open_database
from streams.transport.interface import Transport
from tests.integration.relay.outbox_world import check_versions, drained, log_of, write
from tests.integration.store.freezing import frozen
from tests.servers import Servers
from tests.stack import Child, Stack
from tests.waiting import eventually

REPLACED_S_MAX = 6.0
STOPPED_S_MAX = 10.0


@pytest.fixture
def stack(settings: Settings, transport: Transport, tmp_path: Path) -> Stack:
    """Give a stack whose topics are made; `transport` has made them."""
    del transport
    return Stack(settings, tmp_path)


async def leads(child: Child) -> bool:
    url = child.ready_url.replace("/health/ready", "/metrics")
    async with httpx.AsyncClient(trust_env=False, timeout=3) as client:
        try:
            return "taskflow_relay_leader 1.0" in (await client.get(url)).text
        except httpx.HTTPError:
            return False


async def leader(stack: Stack) -> Child:
    """Wait for the one that leads."""
    found: list[Child] = []

    async def one_leads() -> bool:
        found[:] = [child for child in stack.children.values() if await leads(child)]
        return len(found) == 1

    await eventually(one_leads, 10, "one relay leads")
    return found[0]


@asynccontextmanager
async def asleep(pid: int) -> AsyncIterator[None]:
    """Stop a process, and wake it with the context's end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_leader_that_sleeps_or_dies_is_replaced_within_6_s(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """Woken again it does no harm: it lives, follows, and nothing old comes last in the log."""
    for name in ("relay-1", "relay-2"):
        stack.add(name)
    async with stack.running():
        first = await leader(stack)
        await write(database, 1)
        await drained(database)
        async with asleep(first.pid):
            await write(database, 2)
            began_at = monotonic()
            await drained(database, REPLACED_S_MAX)
            print(f"asleep: replaced after {monotonic() - began_at:.1f} s")
        await write(database, 3)
        await drained(database)
        second = await leader(stack)
        assert second is not first, "the woken one does not believe that it leads"
        assert first.starts == 1
        second.kill()
        await write(database, 4)
        began_at = monotonic()
        await drained(database, REPLACED_S_MAX)
        print(f"killed: replaced after {monotonic() - began_at:.1f} s")
    found = await log_of(transport)
    check_versions(found)
    assert [record.epoch for record in found] == sorted(record.epoch for record in found)


async def ended(child: Child) -> int:
    """End a relay, and give its exit code."""
    async with asyncio.timeout(STOPPED_S_MAX):
        return await child.end()


async def test_a_relay_that_is_ended_hands_over_at_once(stack: Stack, database: Database) -> None:
    """SIGTERM gives exit code 0, and the lease to the other one."""
    for name in ("relay-1", "relay-2"):
        stack.add(name)
    async with stack.running():
        first = await leader(stack)
        began_at = monotonic()
        assert await ended(first) == 0
        await write(database, 1)
        await drained(database, 3)
        assert monotonic() - began_at < 4


@pytest.mark.parametrize("away", ["database", "log"])
async def test_a_relay_ends_in_time_though_its_servers_do_not_answer(
    stack: Stack, servers: Servers, settings: Settings, away: str
) -> None:
    """SIGTERM gives exit code 0 within 10 s, also with a batch on its way."""
    url = settings.required_database_url()
    relay = stack.add("relay-1")
    async with stack.running(), open_database(url) as database:
        await leader(stack)
        if away == "database":
            with frozen(servers, url.rpartition("/")[2]):
                assert await ended(relay) == 0
            return
        await write(database, 1)
        await drained(database)
        async with asleep(servers.kafka.pid):
            await write(database, 2)
            await database.fetch("SELECT pg_notify('outbox', ''), pg_sleep(0.3)")
            assert await ended(relay) == 0


async def test_a_relay_that_is_deposed_with_a_batch_on_its_way_ends_itself(
    stack: Stack, servers: Servers, database: Database, transport: Transport
) -> None:
    """Its client of the log would send the batch later, behind what the next leader sends."""
    relay = stack.add("relay-1")
    async with stack.running():
        await leader(stack)
        await write(database, 1)
        await drained(database)
        async with asleep(servers.kafka.pid):
            await write(database, 2)
            await database.fetch("SELECT pg_notify('outbox', ''), pg_sleep(0.3)")
            await database.fetch(
                """UPDATE relay_lease SET holder = gen_random_uuid(), epoch = epoch + 1,
                          expires_at = clock_timestamp() + interval '1 hour'"""
            )

            async def restarted() -> bool:
                return relay.starts == 2

            await eventually(restarted, 5, "it has ended itself")
            assert "the lease ended while a batch was on its way" in relay.log.read_text()
            await database.fetch("UPDATE relay_lease SET expires_at = clock_timestamp()")
            await write(database, 3)
        await drained(database, 40)
    check_versions(await log_of(transport))
