"""The window of reminders: whatever is put and moved, each comes out once, in order, when due."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from streams.domain.reminders import RETRY_MAX, STALE_FACTOR, STALE_MIN, Planned, Window

BEGIN = datetime(2027, 1, 1, tzinfo=UTC)


def planned(number: int, at_s: float, version: int = 1) -> Planned:
    at = BEGIN + timedelta(seconds=at_s)
    return Planned(UUID(int=number), UUID(int=number), UUID(int=0), at, version)


def at(seconds: float) -> datetime:
    return BEGIN + timedelta(seconds=seconds)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 50)), max_size=200),
    st.lists(st.integers(0, 60), max_size=20),
    st.integers(1, 10),
)
def test_each_comes_out_once_at_its_last_instant_and_in_order(
    puts: list[tuple[int, int]], looks: list[int], limit: int
) -> None:
    window, last = Window(), {}
    for number, at_s in puts:
        window.put(planned(number, at_s))
        last[UUID(int=number)] = at(at_s)
    out: list[Planned] = []
    for look in [*sorted(looks), *([60] * 40)]:
        due = window.take_due(at(look), limit)
        assert len(due) <= limit
        assert all(one.fires_at <= at(look) for one in due)
        out += due
    assert {one.id: one.fires_at for one in out} == last
    assert len(out) == len(last)
    assert [one.fires_at for one in out] == sorted(one.fires_at for one in out)
    assert len(window) == 0
    assert window.next_at() is None


def test_the_next_instant_is_that_of_the_first_that_still_stands() -> None:
    window = Window()
    window.put(planned(1, 5))
    window.put(planned(2, 7))
    window.put(planned(1, 9))
    assert window.next_at() == at(7)
    assert window.holds(planned(1, 9))
    assert not window.holds(planned(1, 5))
    window.clear()
    assert window.next_at() is None
    assert not window.holds(planned(1, 9))


def test_what_came_too_early_is_tried_at_its_instant() -> None:
    window = Window()
    window.put(planned(1, 5))
    (one,) = window.take_due(at(5), 10)
    window.put_back(one, at(4.99))
    assert window.next_at() == at(5)


def test_what_is_in_the_way_of_a_writer_is_tried_again_after_pauses_that_grow() -> None:
    """From 20 ms on, to 5 s; it stays the same reminder with the same instant."""
    window = Window()
    window.put(planned(1, 5))
    now, pauses = at(5), []
    for _ in range(12):
        (one,) = window.take_due(now, 10)
        assert one == planned(1, 5)
        window.put_back(one, now)
        assert window.holds(one)
        next_at = window.next_at()
        assert next_at is not None
        pauses.append(next_at - now)
        now = next_at
    assert pauses[0] == timedelta(milliseconds=20)
    assert pauses == sorted(pauses)
    assert pauses[-1] == RETRY_MAX


def test_what_was_moved_meanwhile_is_not_put_back() -> None:
    window = Window()
    window.put(planned(1, 5))
    (one,) = window.take_due(at(5), 10)
    window.put(planned(1, 50))
    window.put_back(one, at(5))
    assert window.next_at() == at(50)


def test_reminders_that_move_without_end_take_no_memory() -> None:
    window = Window()
    for number in range(20_000):
        window.put(planned(number % 10, number))
    assert len(window) == 10
    assert len(window._heap) <= STALE_MIN + STALE_FACTOR * 10
    assert window.next_at() == at(19_990)
