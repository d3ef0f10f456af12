"""With the log away, writes go on; with the database away, callers are told and workers wait."""

import asyncio
from time import monotonic

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.workload import Workload


@pytest.mark.parametrize(
    ("down_s", "creates"),
    [
        pytest.param(4.0, 240, id="short"),
        pytest.param(60.0, 4_000, id="long", marks=pytest.mark.long),
    ],
)
async def test_creates_go_on_at_full_speed_while_the_broker_is_down(
    campaign: Campaign, down_s: float, creates: int
) -> None:
    """A load while the broker is down takes no longer than one before, and then drains in order."""
    for name in ("api", "relay", "audit"):
        campaign.stack.add(name)
    async with campaign.stack.running():
        with_broker = campaign.load(creates, seed=1)
        await with_broker.register()
        before_s = await timed(with_broker)
        await asyncio.to_thread(campaign.servers.kafka.kill)
        began_at = monotonic()
        without_broker = campaign.load(creates, seed=2)
        without_broker.accounts = with_broker.accounts
        try:
            down_load_s = await timed(without_broker)
            await asyncio.sleep(max(0.0, down_s - (monotonic() - began_at)))
        finally:
            await asyncio.to_thread(campaign.servers.kafka.start)
        without_broker.answers += with_broker.answers
        assert without_broker.unknown == without_broker.refused_503 == 0
        ending = await campaign.end(without_broker)
    print(f"{creates} creates: {before_s:.1f} s with the broker, {down_load_s:.1f} s without")
    assert ending.tasks == 2 * creates
    assert down_load_s < before_s * 1.5


async def timed(load: Workload) -> float:
    """Run a load and give its seconds."""
    began_at = monotonic()
    await load.run()
    return monotonic() - began_at


@pytest.mark.parametrize(
    "creates",
    [pytest.param(240, id="short"), pytest.param(2_000, id="long", marks=pytest.mark.long)],
)
async def test_a_database_restart_is_told_to_callers_and_waited_for_by_workers(
    campaign: Campaign, creates: int
) -> None:
    """A write that met the restart gets 503 with Retry-After or nothing, and nothing is lost."""
    for name in ("api", "relay", "audit"):
        campaign.stack.add(name)
    async with campaign.stack.running():
        load = campaign.load(creates, seed=4)
        await campaign.run(load, [campaign.nemesis.restart_database()] * 2)
        assert all(child.starts == 1 for child in campaign.stack.children.values())
