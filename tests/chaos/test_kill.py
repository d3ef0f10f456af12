"""Guarantees 1 and 2: whoever is killed, what was answered is there, once and in order."""

import pytest

from tests.chaos.campaign import Campaign


@pytest.mark.parametrize(
    ("seed", "creates"),
    [
        pytest.param(1, 400, id="short"),
        *(pytest.param(n, 2_000, id=f"long-{n}", marks=pytest.mark.long) for n in range(1, 6)),
    ],
)
async def test_nothing_is_lost_or_doubled_when_worker_relay_and_broker_are_killed(
    campaign: Campaign, seed: int, creates: int
) -> None:
    """Audit worker, relay and broker are each killed three times at random moments of the load."""
    for name in ("api", "relay", "audit"):
        campaign.stack.add(name)
    nemesis = campaign.nemesis
    faults = [nemesis.kill("audit"), nemesis.kill("relay"), nemesis.restart_broker()] * 3
    async with campaign.stack.running():
        ending = await campaign.run(campaign.load(creates, seed), faults)
    assert ending.answered > 0
