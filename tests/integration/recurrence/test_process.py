"""The recurrence worker as a process, with the relay and Kafka: killed, doubled, and asked why."""

import asyncio
import json
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from uuid import UUID

import pytest

from schemas import codec
from schemas.settings import Settings
from schemas.tasks import Task
from schemas.topics import TASK_EVENTS
from streams.domain.succession import successor_id
from streams.store.database import Database
from streams.transport.interface import Transport
from tests.recurrence_world import RecurrenceWorld
from tests.stack import Stack
from tests.waiting import eventually

SERIES = {"recurrence_pattern": "daily", "due_date": "2027-01-04", "recurrence_catch_up": "all"}


async def nothing(*_: object) -> None:
    """Apply nothing: the process does."""


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Stack:
    return Stack(settings, tmp_path)


@pytest.fixture
def world(database: Database) -> RecurrenceWorld:
    return RecurrenceWorld(database, nothing)


async def made_by_worker(transport: Transport) -> Counter[tuple[UUID, int]]:
    """Count, on the topic, the worker's events by task and version; each event's id once."""
    found: dict[str, tuple[UUID, int]] = {}
    for partition, extent in (await transport.extents(TASK_EVENTS.name)).items():
        async with transport.tail(TASK_EVENTS.name, {partition: extent.start}) as tail:
            seen = extent.start
            while seen < extent.end:
                for record in await tail.read(500, 1):
                    event = codec.decode(record.value or b"")
                    task = Task.model_validate(event["data"]["task"])
                    if event["source"] == "/taskflow/recurrence":
                        found[event["id"]] = task.id, task.version
                    seen = record.offset + 1
    return Counter(found.values())


async def complete_all(world: RecurrenceWorld, series: Sequence[Task], number: int) -> None:
    for first in series:
        assert first.series_id is not None
        own_id = first.id if number == 1 else successor_id(first.series_id, number)
        await world.complete(first.model_copy(update={"id": own_id}))


async def all_have(database: Database, number: int, count: int) -> None:
    async def done() -> bool:
        row = await database.fetchrow(
            "SELECT count(*) AS n FROM tasks WHERE occurrence = $1", number
        )
        return row is not None and int(row["n"]) == count

    await eventually(done, 60, f"{count} tasks have the number {number}")


async def chase(
    stack: Stack, world: RecurrenceWorld, transport: Transport, *, series: int, rounds: int
) -> None:
    """Complete each of many series again and again, while the workers are killed."""
    dice = random.Random(11)
    workers = [stack.add("recurrence"), stack.add("recurrence-2")]
    stack.add("relay")
    began_at, kills = monotonic(), 0
    async with stack.running():
        users = [await world.user() for _ in range(10)]
        firsts = [await world.create(users[n % 10], **SERIES) for n in range(series)]
        for number in range(1, rounds + 1):
            completing = asyncio.create_task(complete_all(world, firsts, number))
            dice.choice(workers).kill()
            kills += 1
            await completing
            await all_have(world.database, number + 1, series)

        async def published() -> bool:
            row = await world.database.fetchrow("SELECT count(*) AS n FROM outbox")
            return row is not None and int(row["n"]) == 0

        await eventually(published, 30, "all is published")
        events = await made_by_worker(transport)
    tasks = [task for first in firsts for task in await world.series(first, deleted_too=True)]
    assert len(tasks) == series * (rounds + 1)
    assert set(events.values()) == {1}
    assert len(events) == series * rounds
    print(
        f"{series} series, {rounds} completions each, {kills} kills -9 of 2 workers: one successor"
        f" and one event each, in {monotonic() - began_at:.0f} s, load {os.getloadavg()[0]:.1f}"
    )


@pytest.mark.long
async def test_workers_that_are_killed_leave_exactly_one_successor_each(
    stack: Stack, world: RecurrenceWorld, transport: Transport
) -> None:
    await chase(stack, world, transport, series=30, rounds=2)


@pytest.mark.long
async def test_a_campaign_of_kills_leaves_exactly_one_successor_each(
    stack: Stack, world: RecurrenceWorld, transport: Transport
) -> None:
    await chase(stack, world, transport, series=300, rounds=20)


async def told(stack: Stack, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faust", "-A", "streams.recurrence", "explain", *arguments),
        env=stack.environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_an_operator_is_told_why_a_successor_is_there_or_not(
    stack: Stack, world: RecurrenceWorld
) -> None:
    """Without a worker that runs: what is still to be done, and where its event is."""
    task = await world.create(await world.user(), title="secret", **SERIES)
    assert "not completed, so nothing follows it yet" in await told(stack, str(task.id))
    await world.complete(task)
    text = await told(stack, str(task.id))
    assert "completed, so one task follows it" in text
    assert "still to be done: it is made" in text
    assert "2 of its events wait for the relay" in text
    assert "secret" not in text
    found = json.loads(await told(stack, str(task.id), "--json"))
    assert found["task_id"] == str(task.id)
    assert found["occurrence"] == 1
    assert "there is no task" in await told(stack, "00000000-0000-7000-8000-000000000000")
