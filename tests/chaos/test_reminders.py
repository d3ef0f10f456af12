"""Guarantee 4: a reminder fires once, and never early, whoever is killed, moves or was away."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from time import monotonic
from uuid import UUID

import pytest

from schemas import codec
from schemas.topics import REMINDERS
from streams.store.database import Database, Row
from streams.transport.interface import Transport
from tests.chaos.campaign import Campaign
from tests.chaos.ending import read_log
from tests.reminder_world import (
    all_fired,
    database_now,
    lateness_s,
    make_users,
    p50_p99,
    plan,
    spread,
    told,
)
from tests.stack import Child
from tests.waiting import eventually

KILL_EVERY_S = 15.0
DRAIN_S_MAX = 60.0


def without_static_membership(child: Child) -> None:
    """Let a worker that is killed lose its partitions to the others, and get them back."""
    child.environment = {
        name: value for name, value in child.environment.items() if name != "CONSUMER_INSTANCE_ID"
    }


async def on_the_topic(transport: Transport, ledger: Sequence[Row]) -> Counter[UUID]:
    """Wait until each firing of the ledger is on the topic; count the records of each event."""
    wanted = {row["event_id"] for row in ledger}

    async def ids() -> Counter[UUID]:
        records = await read_log(transport, REMINDERS.name)
        return Counter(UUID(codec.decode(record.value or b"")["id"]) for record in records)

    async def all_there() -> bool:
        return (await ids()).keys() >= wanted

    await eventually(all_there, DRAIN_S_MAX, "all that fired is on the topic")
    found = await ids()
    assert set(found) == wanted
    return found


async def kill_in_turn(workers: list[Child], every_s: float, until: float) -> int:
    """Kill one worker after another with -9; each is started again at once."""
    kills = 0
    while monotonic() + every_s < until:
        await asyncio.sleep(every_s)
        workers[kills % len(workers)].kill()
        kills += 1
    return kills


@pytest.mark.parametrize(
    ("count", "over_s", "every_s"),
    [
        pytest.param(400, 3, 1.4, id="short", marks=pytest.mark.long),
        pytest.param(20_000, 120, KILL_EVERY_S, id="long", marks=pytest.mark.long),
    ],
)
async def test_killed_again_and_again_each_reminder_fires_once(
    campaign: Campaign, count: int, over_s: int, every_s: float
) -> None:
    """Two workers trade partitions: once in the ledger, once on the topic by id, none early."""
    workers = [campaign.stack.add("reminders-1"), campaign.stack.add("reminders-2")]
    for worker in workers:
        without_static_membership(worker)
    campaign.stack.add("relay")
    users = await make_users(campaign.database)
    async with campaign.stack.running():
        begin = await database_now(campaign.database) + timedelta(seconds=1)
        instants = spread(begin, count, timedelta(seconds=over_s))
        planning = asyncio.create_task(plan(campaign.database, users, instants))
        kills = await kill_in_turn(workers, every_s, monotonic() + over_s)
        ids = await planning
        ledger = await all_fired(campaign.database, count, over_s + DRAIN_S_MAX)
        records = await on_the_topic(campaign.transport, ledger)
    assert sorted(row["reminder_id"] for row in ledger) == sorted(ids)
    assert min(lateness_s(ledger)) >= 0
    late = sum(row["late"] for row in ledger)
    print(
        f"\n{count} over {over_s} s, {kills} kills: {told(lateness_s(ledger))}, {late} late;",
        end="",
    )
    print(f" {records.total()} records of {len(records)} events")
    assert kills > 0


@pytest.mark.long
async def test_what_one_dead_worker_had_is_fired_by_the_other_within_a_second_and_a_half(
    campaign: Campaign,
) -> None:
    """At the 99th percentile, while its partitions have not moved and it is not back."""
    workers = [campaign.stack.add("reminders-1"), campaign.stack.add("reminders-2")]
    for worker in workers:
        without_static_membership(worker)
    users = await make_users(campaign.database)
    async with campaign.stack.running():
        begin = await database_now(campaign.database) + timedelta(seconds=2)
        ids = await plan(campaign.database, users, spread(begin, 600, timedelta(seconds=5)))
        workers[0].kill()
        ledger = await all_fired(campaign.database, len(ids), DRAIN_S_MAX)
    late_s = lateness_s(ledger)
    print(f"\n{len(ids)} over 5 s after the death of one of two workers: {told(late_s)}")
    assert min(late_s) >= 0
    assert p50_p99(late_s)[1] < 1.5


@pytest.mark.parametrize(
    "count", [pytest.param(200, id="short"), pytest.param(5_000, id="long", marks=pytest.mark.long)]
)
async def test_after_two_hours_of_downtime_what_still_stands_fires_at_once_and_in_order(
    campaign: Campaign, count: int
) -> None:
    """Late, in the order of the instants; what was cancelled meanwhile does not."""
    database = campaign.database
    users = await make_users(database)
    now = await database_now(database)
    instants = spread(now - timedelta(hours=2), count, timedelta(hours=2, seconds=-5))
    dice = random.Random(1)
    ids = await plan(database, users, instants)
    gone = dice.sample(ids, count // 4)
    verbs = [
        "status = 'completed', completed_at = now()",
        "deleted_at = now()",
        "remind_at = now() + interval '1 day'",
        "remind_at = NULL",
    ]
    for number, verb in enumerate(verbs):
        part = gone[number :: len(verbs)]
        await database.fetch(
            f"UPDATE tasks SET {verb}, version = version + 1 WHERE id = ANY ($1)", part
        )
    campaign.stack.add("relay")
    campaign.stack.add("reminders")
    started_at = monotonic()
    async with campaign.stack.running():
        ledger = await all_fired(database, count - len(gone), DRAIN_S_MAX)
        took_s = monotonic() - started_at
        await on_the_topic(campaign.transport, ledger)
        assert await drained(database)
    standing = [task_id for task_id in ids if task_id not in set(gone)]
    assert [row["reminder_id"] for row in ledger] == standing
    assert all(row["late"] for row in ledger)
    drain_s = (ledger[-1]["fired_at"] - ledger[0]["fired_at"]).total_seconds()
    print(f"\n{len(ledger)} missed ones fired within {drain_s:.2f} s of each other,", end=" ")
    print(f"{took_s:.1f} s after the start of the processes; {len(gone)} cancelled ones did not")
    await check_order_on_the_topic(campaign.transport)


async def drained(database: Database) -> bool:
    row = await database.fetchrow(
        "SELECT FROM reminders WHERE fires_at IS NOT NULL AND fires_at < clock_timestamp()"
    )
    return row is None


async def check_order_on_the_topic(transport: Transport) -> None:
    """Check that the reminders of each user come in the order of their instants."""
    last: dict[bytes | None, datetime] = {}
    for record in await read_log(transport, REMINDERS.name):
        data = codec.decode(record.value or b"")["data"]
        remind_at = datetime.fromisoformat(data["remind_at"])
        assert data["late"] is True
        assert last.get(record.key, remind_at) <= remind_at
        last[record.key] = remind_at
