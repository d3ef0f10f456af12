"""The checker is checked: each planted fault breaks a guarantee, and the campaign says which."""

from pathlib import Path

import pytest

from tests.campaign.planted import PATCHES, copy_tree, faults_of, plant, run_campaign

CAUGHT_S_MAX = 180.0
MINUTES = 1.5


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
async def test_a_planted_fault_fits_the_source(patch: Path) -> None:
    """A patch that no longer applies would let the campaign find nothing in good faith."""
    assert await plant(patch, Path.cwd(), only_try=True)


@pytest.mark.long
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
async def test_a_planted_fault_is_caught_within_three_minutes(patch: Path, tmp_path: Path) -> None:
    copy_tree(tmp_path)
    assert await plant(patch, tmp_path)
    outcome = await run_campaign(tmp_path, 1, MINUTES, faults_of(patch))
    found = [line.strip() for line in outcome.output.splitlines() if "VIOLATION" in line]
    print(f"\n{patch.stem}: {outcome.took_s:.0f} s, {found[:2]}")
    assert outcome.exit_code == 1, outcome.output
    assert found, outcome.output
    assert outcome.took_s < CAUGHT_S_MAX
