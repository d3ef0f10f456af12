"""Whatever bytes come, a decoder takes them or refuses them in its own words, and soon."""

from collections import Counter
from collections.abc import Iterator
from time import thread_time

import pytest
from hypothesis import HealthCheck, given, settings

from tests.fuzzing.corpus import CORPUS, PIECES, inputs
from tests.fuzzing.doors import DECODERS

SHORT, LONG = 150, 7_500
CPU_S_MAX = 0.5
"""Of this thread alone, so that a busy machine fails nothing; the largest input has 128 KiB."""
_counts: Counter[tuple[str, str]] = Counter()
_slowest: dict[str, float] = {}


def feed(kind: str, raw: bytes) -> None:
    """Give one input to a decoder, and count what came of it."""
    decoder = DECODERS[kind]
    began = thread_time()
    try:
        decoder.call(raw)
        outcome = "taken"
    except decoder.refusals:
        outcome = "refused"
    spent = thread_time() - began
    _counts[kind, outcome] += 1
    _slowest[kind] = max(_slowest.get(kind, 0.0), spent)
    assert spent < CPU_S_MAX, f"{kind}: {spent:.2f} s for {len(raw)} bytes: {raw[:200]!r}"


def fuzz(kind: str, count: int) -> None:
    """Feed a decoder `count` inputs; the same ones each time."""

    @settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(raw=inputs(kind))
    def run(raw: bytes) -> None:
        feed(kind, raw)

    run()


@pytest.fixture(scope="module", autouse=True)
def table() -> Iterator[None]:
    """Print how many inputs of each kind there were."""
    yield
    print(f"\n{'kind':<18}{'inputs':>9}{'taken':>9}{'refused':>9}{'slowest':>11}")
    for kind in DECODERS:
        taken, refused = _counts[kind, "taken"], _counts[kind, "refused"]
        slowest = _slowest.get(kind, 0.0) * 1000
        print(f"{kind:<18}{taken + refused:>9}{taken:>9}{refused:>9}{slowest:>8.1f} ms")
    print(f"{'all':<18}{sum(_counts.values()):>9}")


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_takes_what_is_good_and_each_piece_that_breaks_things_within_it(
    kind: str,
) -> None:
    """The corpus, whole, and with each piece before, behind, in the midst and instead."""
    for good in CORPUS[kind]:
        feed(kind, good)
        for piece in PIECES:
            half = len(good) // 2
            for raw in (piece + good, good + piece, good[:half] + piece + good[half:], piece):
                feed(kind, raw)
    assert _counts[kind, "taken"]


@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_survives_any_bytes(kind: str) -> None:
    fuzz(kind, SHORT)


@pytest.mark.long
@pytest.mark.parametrize("kind", DECODERS)
def test_a_decoder_survives_any_bytes_at_length(kind: str) -> None:
    """All kinds together are over 100,000 inputs."""
    fuzz(kind, LONG)


def test_at_length_there_are_a_hundred_thousand_inputs() -> None:
    assert LONG * len(DECODERS) >= 100_000
    assert CORPUS.keys() == DECODERS.keys()
