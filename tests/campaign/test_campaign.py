"""All six guarantees, under every fault that there is, for three minutes."""

import pytest

from tests.campaign.campaign import Campaign
from tests.campaign.report import report

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", [1])
async def test_no_guarantee_is_broken(seed: int) -> None:
    outcome = await Campaign(seed, 3.0, print).run()
    print(report(outcome))
    assert not outcome.violations
