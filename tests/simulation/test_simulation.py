"""Seeds: each is a world with its own faults, and nothing that was promised is broken in any."""

from time import monotonic

import pytest

from tests.simulation.planted import PLANTED
from tests.simulation.server import Server
from tests.simulation.world import Outcome, play

SHORT_S, LONG_S = 3.0, 300.0
LONG_BEGIN = 1_000_000
SEEDS_MAX = 2_000
REPLAYED = (3, 4, 7, 11)
QUICKLY_FOUND = ("no fence", "ledger before effects")


def test_the_same_seed_gives_the_same_steps(simulated: Server) -> None:
    """Byte for byte, to the last record in the log, whatever was played before."""
    first = [play(seed, simulated).text for seed in REPLAYED]
    again = [play(seed, simulated).text for seed in reversed(REPLAYED)]
    assert first == again[::-1]
    assert len(set(first)) == len(REPLAYED)


def test_nothing_that_was_promised_is_broken_by_what_may_go_wrong(simulated: Server) -> None:
    """For as many seeds as some seconds allow; `check-long` plays others for minutes."""
    _play_for(SHORT_S, 0, simulated)


@pytest.mark.long
def test_nothing_is_broken_in_thousands_of_worlds(simulated: Server) -> None:
    """For five minutes."""
    _play_for(LONG_S, LONG_BEGIN, simulated)


@pytest.mark.parametrize("name", QUICKLY_FOUND)
def test_a_defect_is_found(simulated: Server, name: str) -> None:
    """Within a few seeds."""
    assert _first_found(name, simulated, 100)


@pytest.mark.long
@pytest.mark.parametrize("name", PLANTED)
def test_every_planted_defect_is_found(simulated: Server, name: str) -> None:
    """Within 2,000 seeds."""
    found = _first_found(name, simulated, SEEDS_MAX)
    assert found
    print(f"{name}: seed {found.seed}: {found.wrong[0]}")


def _play_for(limit_s: float, first: int, simulated: Server) -> None:
    began, seed = monotonic(), first
    while monotonic() - began < limit_s:
        outcome = play(seed, simulated)
        assert not outcome.wrong, outcome.text
        seed += 1
    played = seed - first
    print(f"{played} seeds from {first} on, {played / (monotonic() - began) * 60:.0f} a minute")


def _first_found(name: str, simulated: Server, seeds_max: int) -> Outcome | None:
    with PLANTED[name]():
        outcomes = (play(seed, simulated) for seed in range(seeds_max))
        return next((outcome for outcome in outcomes if outcome.wrong), None)
