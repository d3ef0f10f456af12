"""Ids: one spelling, and those made here sort by when they were made."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.ids import RequestId, new_id, parse_id

REQUEST_ID: TypeAdapter[str] = TypeAdapter(RequestId)
CANONICAL = "018f0000-0000-7000-8000-00000000000a"


def test_ids_are_of_version_7_and_each_sorts_after_the_one_before() -> None:
    made = [new_id() for _ in range(10_000)]
    assert {(id_.version, id_.variant) for id_ in made} == {(7, made[0].variant)}
    assert made == sorted(made, key=lambda id_: id_.bytes)
    assert len(set(made)) == len(made)


def test_ids_of_many_threads_are_all_different() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: new_id(), range(4_000)))
    assert len(set(made)) == len(made)


@given(st.uuids())
def test_an_id_is_read_from_its_own_text(id_: UUID) -> None:
    assert parse_id(str(id_)) == id_


@pytest.mark.parametrize(
    "text",
    [
        "",
        CANONICAL.upper(),
        CANONICAL.replace("-", ""),
        f"{{{CANONICAL}}}",
        f"urn:uuid:{CANONICAL}",
        f"{CANONICAL}\n",
        f" {CANONICAL}",
        CANONICAL[:-1],
        f"{CANONICAL}0",
        "g" + CANONICAL[1:],
        "\u0660" + CANONICAL[1:],
    ],
)
def test_every_other_spelling_is_no_id(text: str) -> None:
    assert parse_id(text) is None


@given(st.text(max_size=60))
def test_what_is_read_is_written_back_alike(text: str) -> None:
    read = parse_id(text)
    assert read is None or str(read) == text


@given(st.from_regex(r"[A-Za-z0-9._-]{1,64}", fullmatch=True))
def test_a_request_id_is_taken_as_it_is(text: str) -> None:
    assert REQUEST_ID.validate_python(text) == text


@pytest.mark.parametrize("text", ["", "a b", "a\n", "ä", "a" * 65, "a/b", "a\r\nX: y"])
def test_a_request_id_with_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        REQUEST_ID.validate_python(text)
