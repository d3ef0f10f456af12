"""A process that is stopped and woken does no harm, and nobody waits for it for long."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic

import pytest

from streams.store.database import Database, StoreError
from tests.chaos.campaign import Campaign
from tests.chaos.nemesis import Fault

ASLEEP_S = 20.0
WAIT_S_MAX = 15.0
LOOK_S = 0.5


@dataclass
class Staleness:
    """How long the oldest event has waited in the outbox, or for the audit log, at the worst."""

    database: Database
    worst_s: float = 0.0
    _since: dict[object, float] = field(default_factory=dict)

    async def watch(self) -> None:
        while True:
            try:
                rows = await self.database.fetch(
                    """SELECT event_id FROM outbox
                       UNION ALL
                       SELECT id FROM tasks WHERE NOT EXISTS
                           (SELECT FROM audit_log WHERE task_id = tasks.id)"""
                )
            except StoreError:
                continue
            now = monotonic()
            self._since = {row[0]: self._since.get(row[0], now) for row in rows}
            self.worst_s = max([self.worst_s, *(now - since for since in self._since.values())])
            await asyncio.sleep(LOOK_S)


async def under_load(campaign: Campaign, fault: Fault, seed: int, creates: int) -> float:
    """Run a load with one fault in the middle of it; give the longest that any event waited."""
    for name in ("api", "relay-1", "relay-2", "audit-1", "audit-2"):
        campaign.stack.add(name)
    staleness = Staleness(campaign.database)
    async with campaign.stack.running():
        watching = asyncio.create_task(staleness.watch())
        try:
            await campaign.run(campaign.load(creates, seed), [fault])
        finally:
            watching.cancel()
    print(f"longest wait {staleness.worst_s:.1f} s")
    return staleness.worst_s


@pytest.mark.long
@pytest.mark.parametrize("sleeper", ["audit-1", "audit-2"])
async def test_nothing_waits_for_a_worker_that_sleeps(campaign: Campaign, sleeper: str) -> None:
    """With a second worker running, no event waits longer than 15 s."""
    fault = campaign.nemesis.stop_process(sleeper, ASLEEP_S)
    assert await under_load(campaign, fault, seed=1, creates=2_000) < WAIT_S_MAX


@pytest.mark.parametrize(
    ("asleep_s", "creates"),
    [
        pytest.param(8.0, 600, id="short"),
        pytest.param(ASLEEP_S, 2_000, id="long", marks=pytest.mark.long),
    ],
)
async def test_a_leader_that_sleeps_is_replaced_and_does_no_harm_when_it_wakes(
    campaign: Campaign, asleep_s: float, creates: int
) -> None:
    """With a second relay running, no event waits longer than 15 s."""
    fault = campaign.nemesis.stop_leader(asleep_s)
    assert await under_load(campaign, fault, seed=2, creates=creates) < WAIT_S_MAX


@pytest.mark.long
async def test_a_broker_that_sleeps_is_waited_for(campaign: Campaign) -> None:
    """Nothing moves while it sleeps, and all of it drains when it wakes, in order."""
    fault = campaign.nemesis.stop_broker(ASLEEP_S)
    assert await under_load(campaign, fault, seed=3, creates=2_000) > ASLEEP_S / 2
