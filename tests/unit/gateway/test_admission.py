"""Turns pass with time, and places are kept."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import Admission
from gateway.limits import Limits


def test_twice_the_rate_may_come_at_once_and_then_as_many_a_second() -> None:
    admission = Admission(Limits(handshakes_per_s=3), begun_s=100)
    assert sum(admission.take_turn(100) for _ in range(50)) == 6
    assert sum(admission.take_turn(101) for _ in range(50)) == 3
    assert sum(admission.take_turn(1_000) for _ in range(50)) == 6


@given(st.lists(st.booleans(), max_size=100))
def test_never_more_places_than_there_are_and_each_can_be_had_again(comes: list[bool]) -> None:
    admission = Admission(Limits(connections_max=3), begun_s=0)
    held = 0
    for come in comes:
        if come:
            assert admission.take_place() == (held < 3)
            held = min(3, held + 1)
        elif held:
            admission.leave_place()
            held -= 1
        assert admission.taken == held
