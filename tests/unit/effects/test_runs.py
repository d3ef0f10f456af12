"""Runs: records that follow each other, cut without a gap or an overlap."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.effects.committing import Run
from streams.effects.processor import leading_run, read_until
from streams.transport.interface import Record, TransportUnavailableError


def records(offsets: Sequence[int]) -> list[Record]:
    return [Record("t", 0, offset, None, None, (), 0) for offset in offsets]


OFFSETS = st.lists(st.integers(0, 60), min_size=1, max_size=40)


@given(OFFSETS)
def test_a_leading_run_has_no_hole_and_ends_at_the_first(offsets: list[int]) -> None:
    run = leading_run(records(offsets))
    assert [record.offset for record in run.records] == list(range(run.begin, run.end))
    assert run.begin == offsets[0]
    behind = offsets[len(run.records) :]
    assert not behind or behind[0] != run.end


@given(st.sets(st.integers(0, 500), min_size=2), st.integers(0, 5), st.integers(1, 5))
def test_halves_have_the_whole_between_them(offsets: set[int], before: int, behind: int) -> None:
    """Gaps of the log, also at the ends, belong to one of them."""
    whole = records(sorted(offsets))
    run = Run(0, whole[0].offset - before, whole[-1].offset + behind, whole)
    left, right = run.cut(len(whole) // 2)
    assert (left.begin, left.end, right.end) == (run.begin, right.begin, run.end)
    assert [*left.records, *right.records] == whole
    assert left.records
    assert right.records
    assert all(left.begin <= record.offset < left.end for record in left.records)
    assert all(right.begin <= record.offset < right.end for record in right.records)


class Pages:
    """A tail that gives these pages."""

    def __init__(self, *pages: Sequence[int]) -> None:
        self.pages = list(pages)

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        del records_max, timeout_s
        return records(self.pages.pop(0)) if self.pages else []


@pytest.mark.parametrize(
    ("pages", "found"),
    [
        ([[3, 4], [5, 6, 7, 8]], [3, 4, 5, 6]),
        ([[3], [9]], [3]),
        ([[9]], []),
        ([[6]], [6]),
    ],
)
def test_reading_ends_with_the_proof_that_nothing_is_missing(
    pages: list[list[int]], found: list[int]
) -> None:
    read = asyncio.run(read_until(Pages(*pages), 7))
    assert [record.offset for record in read] == found


@pytest.mark.parametrize("pages", [[], [[3, 4]]])
def test_without_the_proof_the_log_is_asked_again(pages: list[list[int]]) -> None:
    with pytest.raises(TransportUnavailableError, match="does not show offset 6"):
        asyncio.run(read_until(Pages(*pages), 7))
