"""Reading a batch: all that is bad in it is told at once."""

import pytest

from streams.effects.reading import Event, PoisonedError, PoisonError, read_each, read_event
from streams.transport.interface import Record
from tests.integration.effects.effects_world import KEY, envelope


def event(offset: int, number: int) -> Event:
    return read_event(Record("t", 0, offset, KEY, envelope({"n": number}), (), 0))


def number_of(event: Event) -> int:
    number: int = event.envelope.data["n"]
    if number < 0:
        raise PoisonError(f"{number} is negative")
    return number


def test_a_batch_without_a_bad_one_is_read_in_its_order() -> None:
    assert read_each([event(5, 1), event(7, 2)], number_of) == [1, 2]


def test_every_bad_one_is_told_by_its_offset() -> None:
    with pytest.raises(PoisonedError, match="-1 is negative") as caught:
        read_each([event(5, -1), event(7, 2), event(9, -3)], number_of)
    assert {offset: str(error) for offset, error in caught.value.errors.items()} == {
        5: "-1 is negative",
        9: "-3 is negative",
    }
