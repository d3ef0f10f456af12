"""How late reminders are: from their instant to the ledger, and to the topic, with the load."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from schemas.settings import Settings
from streams.store.database import Database, Row
from streams.transport.interface import Transport
from tests.reminder_world import (
    all_fired,
    check_once,
    count_fired,
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


def load() -> str:
    return f"load average {psutil.getloadavg()[0]:.1f} on {psutil.cpu_count()} cores"


@dataclass(frozen=True, slots=True)
class Bench:
    """A running worker and relay, and who has reminders there."""

    stack: Stack
    database: Database
    transport: Transport
    users: Sequence[UUID]

    async def spread(self, count: int, over_s: int, ahead_s: int) -> None:
        """Let reminders fall due one after another, and check how late each fires."""
        self._check_in_time(await self._run(count, over_s, ahead_s))

    async def at_once(self, count: int, ahead_s: int) -> None:
        """Let all fall due at the same instant; only how long they take is told."""
        await self._run(count, 0, ahead_s)

    async def _run(self, count: int, over_s: int, ahead_s: int) -> Sequence[Row]:
        async with hearing(self.transport) as heard:
            before = await count_fired(self.database)
            begin = await database_now(self.database) + timedelta(seconds=ahead_s)
            instants = spread(begin, count, timedelta(seconds=over_s))
            ids = await plan(self.database, self.users, instants)
            limit_s = ahead_s + over_s + 60
            ledger = (await all_fired(self.database, before + count, limit_s))[before:]
            await heard.at_least(count, 30)
            print(f"\n{count} over {over_s} s: to the ledger {told(lateness_s(ledger))};", end=" ")
            print(f"to a reader of the topic {told(heard.lateness_s())}; {load()}")
            print(f"worst seconds: {worst_seconds(ledger)}")
        check_once(ledger, ids, heard)
        return ledger

    @staticmethod
    def _check_in_time(ledger: Sequence[Row]) -> None:
        assert not any(row["late"] for row in ledger)
        p50, p99 = p50_p99(lateness_s(ledger))
        assert p50 < P50_S_MAX
        assert p99 < P99_S_MAX

    async def plan_ahead(self, count: int) -> None:
        """Plan half of so many within an hour from five minutes on, and half within a year."""
        now = await database_now(self.database)
        near = spread(now + timedelta(minutes=5), count // 2, timedelta(hours=1))
        far = spread(now + timedelta(days=1), count // 2, timedelta(days=365))
        await plan(self.database, self.users, [*near, *far], with_events=False)

    async def check_memory(self) -> None:
        """Check how much the worker holds in memory."""
        process = psutil.Process(self.stack.children["reminders"].pid)
        rss = await asyncio.to_thread(lambda: int(process.memory_info().rss))
        print(f"the worker has {rss / 1e6:.0f} MB")
        assert rss < RSS_BYTES_MAX


@pytest.fixture
async def bench(
    settings: Settings, database: Database, transport: Transport, tmp_path: Path
) -> Bench:
    """Give a bench whose processes are not running yet."""
    stack = Stack(settings, tmp_path)
    for name in ("relay", "reminders"):
        stack.add(name)
    return Bench(stack, database, transport, await make_users(database))


@pytest.mark.long
async def test_a_few_reminders_fire_within_milliseconds(bench: Bench) -> None:
    """All of what follows, in short."""
    await bench.plan_ahead(5_000)
    async with bench.stack.running():
        await bench.spread(300, over_s=2, ahead_s=1)
        await bench.at_once(500, ahead_s=1)
        await bench.check_memory()


@pytest.mark.long
async def test_spread_over_a_minute_reminders_fire_within_milliseconds(bench: Bench) -> None:
    """Each once, none early, p50 < 50 ms and p99 < 250 ms from the instant to the ledger."""
    async with bench.stack.running():
        await bench.spread(10_000, over_s=60, ahead_s=15)


@pytest.mark.long
async def test_reminders_of_the_same_second_drain_at_once(bench: Bench) -> None:
    """Each once, none early; how long the drain takes is the longest lateness."""
    async with bench.stack.running():
        await bench.at_once(10_000, ahead_s=15)


@pytest.mark.long
async def test_a_million_future_reminders_cost_the_worker_no_memory(bench: Bench) -> None:
    """Below 150 MB, and as punctual as with none."""
    await bench.plan_ahead(1_000_000)
    async with bench.stack.running():
        await bench.spread(10_000, over_s=60, ahead_s=15)
        await bench.check_memory()
