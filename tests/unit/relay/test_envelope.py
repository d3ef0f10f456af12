"""The envelope, as CONTRACT.md has it to the letter."""

import json
from uuid import UUID

import pytest

from schemas.events import Envelope
from streams.relay.envelope import UnroutableError, encode_envelope, messages_of
from streams.store.outbox import OutboxRow

EVENT, USER = UUID("01890000-0000-7000-8000-000000000001"), UUID(int=9)
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
DATA = '{"task" :{"id":"x","n":12345678901234567890123,"f":1.10}, "changed":["title"]}'


def row(event_type: str = "taskflow.task.updated", traceparent: str | None = TRACE) -> OutboxRow:
    return OutboxRow(
        seq=5,
        event_id=EVENT,
        type=event_type,
        source="/taskflow/api",
        user_id=USER,
        subject="01890000-0000-7000-8000-000000000002",
        occurred_at="2027-01-31T08:00:00.123456Z",
        traceparent=traceparent,
        data=DATA,
    )


def test_an_envelope_has_exactly_the_contracts_members() -> None:
    assert json.loads(encode_envelope(row())) == {
        "specversion": "1.0",
        "id": str(EVENT),
        "source": "/taskflow/api",
        "type": "taskflow.task.updated",
        "subject": "01890000-0000-7000-8000-000000000002",
        "time": "2027-01-31T08:00:00.123456Z",
        "datacontenttype": "application/json",
        "partitionkey": str(USER),
        "traceparent": TRACE,
        "data": json.loads(DATA),
    }
    Envelope.model_validate_json(encode_envelope(row()))


def test_without_a_trace_there_is_no_traceparent() -> None:
    assert "traceparent" not in json.loads(encode_envelope(row(traceparent=None)))


def test_data_is_taken_over_as_it_stands() -> None:
    """Byte for byte: numbers of any length, spaces and the order of keys."""
    assert encode_envelope(row()).endswith(b',"data":' + DATA.encode() + b"}")


@pytest.mark.parametrize(
    ("event_type", "topics"),
    [
        ("taskflow.task.created", ["task-events", "task-updates"]),
        ("taskflow.task.purged", ["task-events", "task-updates"]),
        ("taskflow.tag.updated", ["task-events", "task-updates"]),
        ("taskflow.user.deleted", ["task-events", "task-updates"]),
        ("taskflow.session.revoked", ["task-updates"]),
        ("taskflow.reminder.due", ["reminders", "task-updates"]),
        ("taskflow.notification.failed", ["task-updates"]),
    ],
)
def test_the_type_decides_the_topics(event_type: str, topics: list[str]) -> None:
    """The same bytes, key and headers go to each of them."""
    messages = messages_of(row(event_type), epoch=3)
    assert [message.topic for message in messages] == topics
    assert {(m.key, m.value, m.headers, m.partition) for m in messages} == {
        (
            str(USER).encode(),
            encode_envelope(row(event_type)),
            (("content-type", b"application/cloudevents+json"), ("epoch", b"3")),
            None,
        )
    }


def test_a_type_without_a_topic_is_named() -> None:
    with pytest.raises(UnroutableError, match=r"taskflow\.novelty\.made"):
        messages_of(row("taskflow.novelty.made"), 1)
