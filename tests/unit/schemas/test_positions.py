"""Positions: what was written is read by its user, and nothing else is read at all."""

from uuid import UUID

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from schemas.positions import POSITION_CHARS, Position, PositionError, PositionSeal

SEAL = PositionSeal.from_secret("s" * 32)
USER = UUID("018f0000-0000-7000-8000-000000000001")
POSITIONS = st.builds(
    Position,
    partition=st.integers(0, 2**16 - 1),
    offset=st.integers(-1, 2**63 - 1),
    id_tail=st.binary(min_size=8, max_size=8),
)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@given(POSITIONS, st.uuids())
def test_a_position_comes_back_for_the_user_it_was_written_for(
    position: Position, user: UUID
) -> None:
    text = SEAL.write(position, user)
    assert len(text) == POSITION_CHARS
    assert set(text) <= set(ALPHABET)
    assert SEAL.read(text, user) == position


@given(POSITIONS, st.integers(0, POSITION_CHARS * 6 - 1))
def test_a_position_with_any_bit_flipped_is_refused(position: Position, bit: int) -> None:
    text = SEAL.write(position, USER)
    place, within = divmod(bit, 6)
    flipped = ALPHABET[ALPHABET.index(text[place]) ^ (1 << within)]
    with pytest.raises(PositionError):
        SEAL.read(text[:place] + flipped + text[place + 1 :], USER)


@given(POSITIONS, st.uuids(), st.uuids())
def test_a_position_of_another_user_is_refused(position: Position, user: UUID, other: UUID) -> None:
    assume(user != other)
    with pytest.raises(PositionError):
        SEAL.read(SEAL.write(position, user), other)


@given(POSITIONS, st.text(min_size=1), st.text(min_size=1))
def test_a_position_of_another_deployment_is_refused(
    position: Position, secret: str, other: str
) -> None:
    assume(secret != other)
    text = PositionSeal.from_secret(secret).write(position, USER)
    with pytest.raises(PositionError):
        PositionSeal.from_secret(other).read(text, USER)


@given(st.text(max_size=POSITION_CHARS * 2) | st.text(min_size=POSITION_CHARS, max_size=48))
def test_text_that_nobody_wrote_is_refused(text: str) -> None:
    with pytest.raises(PositionError):
        SEAL.read(text, USER)


def test_a_position_has_one_spelling() -> None:
    texts = [SEAL.write(Position(0, offset), USER) for offset in range(50)]
    others = {text.replace("-", "+").replace("_", "/") for text in texts} - set(texts)
    assert others
    for other in others:
        with pytest.raises(PositionError):
            SEAL.read(other, USER)


@pytest.mark.parametrize("spoil", ["{}=", "{}\n", " {}", "\udcff{}"])
def test_a_position_with_something_around_it_is_refused(spoil: str) -> None:
    text = SEAL.write(Position(1, 2), USER)
    for spoiled in (spoil.format(text), spoil.format(text)[:POSITION_CHARS]):
        if spoiled != text:
            with pytest.raises(PositionError):
                SEAL.read(spoiled, USER)


@given(st.uuids(), st.integers(0, 2**63 - 1))
def test_a_records_position_knows_the_end_of_its_event_id(event_id: UUID, offset: int) -> None:
    assert Position.of_event(3, offset, event_id) == Position(3, offset, event_id.bytes[8:])


def test_the_key_is_in_no_text() -> None:
    assert "k" * 16 not in repr(PositionSeal(b"k" * 32))
