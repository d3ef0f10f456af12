"""How long it takes to write a trail again from the log, to compare it, and to swap all of it."""

from time import perf_counter
from uuid import uuid4

import psutil
import pytest

from streams.effects.rebuilding import Rebuild
from streams.store.audit_shadow import open_shadow
from tests.integration.audit.conftest import rebuild_world
from tests.integration.audit.rebuild_world import RebuildWorld

__all__ = ["rebuild_world"]

COUNT, AT_ONCE = 100_000, 5_000
RATE_MIN = 1_000
"""Entries a second: a million in a quarter of an hour, beside others on two cores."""
RSS_GROWTH_BYTES_MAX = 150_000_000


@pytest.mark.long
async def test_a_hundred_thousand_entries_are_compared_and_swapped_in_bounded_memory(
    rebuild_world: RebuildWorld,
) -> None:
    world, users = rebuild_world, [uuid4() for _ in range(500)]
    for _ in range(COUNT // AT_ONCE):
        await world.publish(AT_ONCE, users)
        await world.process()
    before, rss = await world.hashes(users[0]), [_rss()]
    await world.database.fetch("DELETE FROM audit_entries WHERE position = 7")
    began_at = perf_counter()
    async with open_shadow(world.database) as shadow:
        rebuild = Rebuild(world.desk(), shadow, lambda _: rss.append(_rss()))
        await rebuild.begin()
        found = await rebuild.compare()
        compared_s = perf_counter() - began_at
        assert (found.missing, found.users) == (500, 500)
        await rebuild.swap(0)
        swapped_s = perf_counter() - began_at - compared_s
    grown = max(rss) - rss[0]
    print(f"\n{COUNT:,} entries were written and compared in {compared_s:.1f} s", end=" ")
    print(f"({COUNT / compared_s:,.0f} a second) and swapped in {swapped_s:.1f} s;", end=" ")
    print(f"{grown / 1e6:.0f} MB more memory; load average {psutil.getloadavg()[0]:.1f}")
    assert await world.is_sound()
    assert len(await world.hashes(users[0])) == len(before)
    assert COUNT / (compared_s + swapped_s) > RATE_MIN
    assert grown < RSS_GROWTH_BYTES_MAX


def _rss() -> int:
    return int(psutil.Process().memory_info().rss)
