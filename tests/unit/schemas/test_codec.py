"""What is JSON to us, and what is not."""

import json
import math
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import codec
from schemas.codec import MalformedError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
WITHOUT_NUL = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(
    SCALARS | WITHOUT_NUL,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WITHOUT_NUL, inner, max_size=5),
    max_leaves=20,
)


def strings_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)
    elif isinstance(value, dict):
        for item in (*value, *value.values()):
            yield from strings_in(item)


@given(VALUES)
def test_what_is_encoded_is_decoded_again_by_either_reader(value: object) -> None:
    assert codec.decode(codec.encode(value)) == value
    assert codec.decode_strictly(codec.encode(value)) == value


@given(VALUES)
def test_other_peoples_json_is_read_as_they_meant_it(value: object) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False, indent=1)):
        assert codec.decode_strictly(text.encode()) == value


@given(st.binary(max_size=40) | st.text(alphabet='{}[]",:\\u0123456789.eE+-tfnul ').map(str.encode))
@settings(max_examples=300)
def test_any_bytes_are_a_value_or_malformed_and_nothing_else(raw: bytes) -> None:
    try:
        value = codec.decode_strictly(raw)
    except MalformedError:
        return
    assert codec.decode_strictly(json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b" ",
        b"{",
        b"1 2",
        b"01",
        b"1.",
        b"'a'",
        b"{a:1}",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e400",
        b'"\t"',
        b'"\x00"',
        b'"\xff"',
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'"\\udc00\\ud800"',
        b"\xef\xbb\xbf{}",
        b'{"a":1}'.decode().encode("utf-16"),
    ],
)
def test_what_is_no_json_is_malformed_to_both_readers(raw: bytes) -> None:
    with pytest.raises(MalformedError):
        codec.decode(raw)
    with pytest.raises(MalformedError):
        codec.decode_strictly(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":2}',
        b'[{"b":{"a":1,"a":2}}]',
        b'{"":1,"":2}',
    ],
)
def test_a_key_that_comes_twice_is_malformed_to_the_strict_reader(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="same key twice"):
        codec.decode_strictly(raw)


@pytest.mark.parametrize(
    "raw",
    [b'"\\u0000"', b'["a",{"b":"x\\u0000"}]', b'{"\\u0000":1}', b'["\\\\u0000","\\u0000"]'],
)
def test_a_nul_character_is_malformed_to_the_strict_reader(raw: bytes) -> None:
    with pytest.raises(MalformedError, match="NUL"):
        codec.decode_strictly(raw)


@given(
    st.recursive(
        TEXT | st.just("\0"),
        lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
        max_leaves=8,
    )
)
def test_the_strict_reader_refuses_exactly_the_values_with_a_nul(value: object) -> None:
    raw = codec.encode(value)
    if any("\0" in text for text in strings_in(value)):
        with pytest.raises(MalformedError, match="NUL"):
            codec.decode_strictly(raw)
    else:
        assert codec.decode_strictly(raw) == value


def test_a_backslash_before_a_u_is_no_nul() -> None:
    assert codec.decode_strictly(b'"\\\\u0000"') == "\\u0000"


@pytest.mark.parametrize("brackets", [b"[%s]", b'{"a":%s}'])
@pytest.mark.parametrize("depth", [1_000, 1_025, 30_000])
def test_deep_nesting_is_malformed_and_not_a_crash(brackets: bytes, depth: int) -> None:
    start, _, end = brackets.partition(b"%s")
    with pytest.raises(MalformedError):
        codec.decode_strictly(start * depth + b"1" + end * depth)


def test_usual_nesting_is_read() -> None:
    assert codec.decode_strictly(b"[" * 100 + b"]" * 100)


@given(st.integers(-(10**300), 10**300))
def test_integers_keep_all_their_digits_with_the_strict_reader(number: int) -> None:
    assert codec.decode_strictly(str(number).encode()) == number


@pytest.mark.parametrize("digits", [400, 4_301, 60_000])
def test_an_integer_beyond_every_float_is_malformed(digits: int) -> None:
    with pytest.raises(MalformedError):
        codec.decode_strictly(b"9" * digits)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_json_has_no_word_for_is_written_as_null(value: float) -> None:
    assert codec.encode(value) == b"null"


def test_a_fragment_is_written_as_it_is() -> None:
    assert codec.encode({"data": codec.fragment('{"n": 1.50}')}) == b'{"data":{"n": 1.50}}'
