"""How late reminders are: from their instant to the ledger, and to the topic, with the load."""

import asyncio
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from schemas.settings import Settings
from streams.store.database import Database
from streams.transport.interface import Transport
from tests.reminder_world import (
    all_fired,
    check_once,
    database_now,
    hearing,
    lateness_s,
    make_users,
    p50_p99,
    plan,
    spread,
    told,
    worst_seconds,
)
from tests.stack import Stack

P50_S_MAX, P99_S_MAX = 0.050, 0.250
RSS_BYTES_MAX = 150_000_000


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Stack:
    stack = Stack(settings, tmp_path)
    for name in ("relay", "reminders"):
        stack.add(name)
    return stack


def load() -> str:
    return f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores"


def rss_bytes(stack: Stack) -> int:
    return int(psutil.Process(stack.children["reminders"].pid).memory_info().rss)


@pytest.mark.parametrize(
    ("count", "over_s", "ahead_s"),
    [
        pytest.param(500, 4, 4, id="short"),
        pytest.param(10_000, 60, 15, id="long", marks=pytest.mark.long),
    ],
)
async def test_spread_reminders_fire_within_milliseconds(
    stack: Stack, database: Database, transport: Transport, count: int, over_s: int, ahead_s: int
) -> None:
    """Each once, none early, p50 < 50 ms and p99 < 250 ms from the instant to the ledger."""
    users = await make_users(database)
    async with stack.running(), hearing(transport) as heard:
        begin = await database_now(database) + timedelta(seconds=ahead_s)
        ids = await plan(database, users, spread(begin, count, timedelta(seconds=over_s)))
        ledger = await all_fired(database, count, ahead_s + over_s + 20)
        await heard.at_least(count, 10)
        print(f"\n{count} over {over_s} s: to the ledger {told(lateness_s(ledger))};", end=" ")
        print(f"to a reader of the topic {told(heard.lateness_s())}; {load()}")
        print(f"worst seconds: {worst_seconds(ledger)}")
    check_once(ledger, ids, heard)
    assert not any(row["late"] for row in ledger)
    p50, p99 = p50_p99(lateness_s(ledger))
    assert p50 < P50_S_MAX
    assert p99 < P99_S_MAX


@pytest.mark.parametrize(
    ("count", "ahead_s"),
    [
        pytest.param(1_000, 4, id="short"),
        pytest.param(10_000, 15, id="long", marks=pytest.mark.long),
    ],
)
async def test_reminders_of_the_same_second_drain_at_once(
    stack: Stack, database: Database, transport: Transport, count: int, ahead_s: int
) -> None:
    """Each once, none early; how long the drain takes is printed."""
    users = await make_users(database)
    async with stack.running(), hearing(transport) as heard:
        begin = await database_now(database) + timedelta(seconds=ahead_s)
        ids = await plan(database, users, [begin] * count)
        ledger = await all_fired(database, count, ahead_s + 60)
        await heard.at_least(count, 20)
        drain_s = max(lateness_s(ledger))
        print(f"\n{count} at once: the ledger has them after {drain_s:.2f} s,", end=" ")
        print(f"a reader of the topic after {max(heard.lateness_s()):.2f} s; {load()}")
    check_once(ledger, ids, heard)


@pytest.mark.parametrize(
    ("future", "count", "over_s"),
    [
        pytest.param(20_000, 200, 2, id="short"),
        pytest.param(1_000_000, 5_000, 30, id="long", marks=pytest.mark.long),
    ],
)
async def test_a_million_future_reminders_cost_the_worker_no_memory(
    stack: Stack, database: Database, transport: Transport, future: int, count: int, over_s: int
) -> None:
    """Below 150 MB, and as punctual as with none; half are within the hour, half in a year."""
    users = await make_users(database, 1_000)
    now = await database_now(database)
    near = spread(now + timedelta(minutes=5), future // 2, timedelta(hours=1))
    far = spread(now + timedelta(days=1), future // 2, timedelta(days=365))
    await plan(database, users, [*near, *far], with_events=False)
    async with stack.running(), hearing(transport) as heard:
        begin = await database_now(database) + timedelta(seconds=4)
        await plan(database, users, spread(begin, count, timedelta(seconds=over_s)))
        ledger = await all_fired(database, count, over_s + 30)
        await heard.at_least(count, 10)
        rss = await asyncio.to_thread(rss_bytes, stack)
        print(f"\n{future} in the future: {rss / 1e6:.0f} MB;", end=" ")
        print(f"{count} over {over_s} s: {told(lateness_s(ledger))}; {load()}")
    assert rss < RSS_BYTES_MAX
    p50, p99 = p50_p99(lateness_s(ledger))
    assert p50 < P50_S_MAX
    assert p99 < P99_S_MAX
