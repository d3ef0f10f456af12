"""The audit worker as a process: it ends when it is asked to, and goes on where it was."""

import asyncio
from pathlib import Path
from time import monotonic

import pytest

from schemas.settings import Settings
from schemas.topics import TASK_EVENTS, TOPICS
from streams.store.database import Database
from streams.transport.interface import Message, Transport
from streams.transport.opening import open_transport
from tests.integration.effects.effects_world import KEY
from tests.integration.effects.test_audit import change
from tests.integration.relay.test_processes import asleep
from tests.integration.store.freezing import frozen
from tests.servers import Servers
from tests.stack import Child, Stack
from tests.waiting import eventually

ENDED_S_MAX = 10.0
BACK_S_MAX = 6.0
"""Below the session timeout of 8 s, which a worker without static membership waits for."""


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Stack:
    return Stack(settings, tmp_path)


async def ended(child: Child) -> int:
    async with asyncio.timeout(ENDED_S_MAX):
        return await child.end()


async def publish(transport: Transport, count: int) -> None:
    """Publish a change to each of four partitions, `count` times."""
    await transport.publish_many(
        [
            Message(TASK_EVENTS.name, KEY, change(n + 1), partition=partition)
            for n in range(count)
            for partition in range(4)
        ]
    )


async def audited(database: Database, count: int, limit_s: float = 20.0) -> None:
    async def all_are_there() -> bool:
        row = await database.fetchrow("SELECT count(*) AS n FROM audit_log")
        return row is not None and int(row["n"]) == count

    await eventually(all_are_there, limit_s, f"{count} events are audited")


async def test_a_worker_that_was_killed_has_its_partitions_back_at_once(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """By its static membership; and asked to end, it ends with 0."""
    worker = stack.add("audit")
    async with stack.running():
        await publish(transport, 50)
        await audited(database, 200)
        worker.kill()
        began_at = monotonic()
        await publish(transport, 1)
        await audited(database, 204, BACK_S_MAX)
        print(f"back after {monotonic() - began_at:.1f} s")
        assert await ended(worker) == 0
    assert worker.starts == 2


@pytest.mark.parametrize("away", ["database", "log"])
async def test_a_worker_ends_in_time_though_its_servers_do_not_answer(
    stack: Stack, servers: Servers, settings: Settings, transport: Transport, away: str
) -> None:
    """SIGTERM gives exit code 0 within 10 s, also with events in the midst of being committed."""
    name = settings.required_database_url().rpartition("/")[2]
    worker = stack.add("audit")
    async with stack.running():
        await publish(transport, 5)
        if away == "database":
            with frozen(servers, name):
                await publish(transport, 5)
                assert await ended(worker) == 0
        else:
            async with asleep(servers.kafka.pid):
                assert await ended(worker) == 0


async def test_a_worker_ends_at_once_while_it_waits_for_its_topic(
    stack: Stack, settings: Settings, database: Database
) -> None:
    """It waits red for a topic that is not there, and starts to work when it is made."""
    worker = stack.add("audit")
    keeper = asyncio.create_task(worker.keep_alive())

    async def waits() -> bool:
        return worker.log.exists() and "run `taskflow topics`" in worker.log.read_text()

    await eventually(waits, 20, "the worker waits for its topic")
    assert not await worker.is_ready()
    began_at = monotonic()
    assert await ended(worker) == 0
    assert monotonic() - began_at < 5
    await keeper
    async with open_transport(settings) as transport:
        await transport.create_topics(TOPICS)
        again = stack.add("audit")
        async with stack.running():
            await publish(transport, 1)
            await audited(database, 4)
            assert await ended(again) == 0
