"""A record is an event of ours, or a dead letter with a reason that has nothing of a user's."""

import json

import pytest
from pydantic import ValidationError

from schemas.events import Envelope
from schemas.topics import EVENT_BYTES_MAX
from streams.effects.reading import PoisonError, first_rule, read_event, reason_of
from streams.store.database import Fault, StoreError
from streams.transport.interface import Record

USER = "00000000-0000-0000-0000-000000000005"
SECRET = "dentist-at-nine"
RIGHT: dict[str, object] = {
    "specversion": "1.0",
    "id": "01890000-0000-7000-8000-000000000000",
    "source": "/test",
    "type": "taskflow.task.created",
    "subject": "x",
    "time": "2027-01-01T00:00:00Z",
    "datacontenttype": "application/json",
    "partitionkey": USER,
    "data": {},
}


def record(value: bytes | None, key: bytes | None = USER.encode()) -> Record:
    return Record("task-events", 0, 0, key, value, (), 0)


def test_an_envelope_of_ours_is_an_event() -> None:
    event = read_event(record(json.dumps(RIGHT | {"unknown": 1}).encode()))
    assert event.envelope.type == "taskflow.task.created"
    assert str(event.envelope.partitionkey) == USER


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "the record has no value"),
        (b"", "not JSON: "),
        (b"\xff", "not JSON: "),
        (b"[]", "/: model_type"),
        (b'"' + b"x" * EVENT_BYTES_MAX + b'"', f"the value has {EVENT_BYTES_MAX + 2} bytes"),
        (json.dumps(RIGHT | {"type": "com.example"}).encode(), "the type com.example is not one"),
        (json.dumps(RIGHT | {"type": SECRET}).encode(), "/type: string_pattern_mismatch"),
        (json.dumps(RIGHT | {"id": SECRET}).encode(), "/id: uuid_parsing"),
        (json.dumps(RIGHT | {"time": SECRET}).encode(), "/time: datetime_from_date_parsing"),
        (json.dumps(RIGHT | {"data": SECRET}).encode(), "/data: dict_type"),
        (json.dumps(RIGHT | {"specversion": SECRET}).encode(), "/specversion: literal_error"),
        (SECRET.encode(), "not JSON: "),
    ],
)
def test_what_is_none_says_why_and_quotes_nothing(value: bytes | None, reason: str) -> None:
    with pytest.raises(PoisonError) as raised:
        read_event(record(value))
    assert str(raised.value).startswith(reason)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_key_that_is_not_the_partitionkey_is_none_of_ours() -> None:
    """Such a record would be in another partition than its user's others."""
    with pytest.raises(PoisonError, match="the key is not the partitionkey"):
        read_event(record(json.dumps(RIGHT).encode(), b"else"))


def test_a_rule_is_named_by_its_place_and_kind() -> None:
    with pytest.raises(ValidationError) as raised:
        Envelope.model_validate(RIGHT | {"source": SECRET * 50})
    assert first_rule(raised.value) == "/source: string_too_long"


def test_a_bug_is_told_by_its_place_alone() -> None:
    """The text of a stranger's error may quote what it was about."""
    try:
        RIGHT[SECRET]
    except KeyError as error:
        reason = reason_of(error)
    assert reason.startswith("KeyError in test_a_bug_is_told_by_its_place_alone, test_reading.py:")
    assert SECRET not in reason


def test_our_own_errors_are_told_in_full() -> None:
    assert reason_of(PoisonError("no value")) == "PoisonError: no value"
    assert reason_of(StoreError(Fault.DATA, "22P02")) == "StoreError: 22P02"


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert reason_of(KeyError(SECRET)) == "KeyError"
