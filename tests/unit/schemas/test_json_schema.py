"""The exported JSON Schemas: valid themselves, true of what is sent, and strict about the rest."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from jsonschema import Draft202012Validator

from gateway.hello import hello_frame, not_recovered_frame
from gateway.protocol import PONG
from gateway.search import Reason
from schemas.events import EVENTS
from schemas.frames import event_frame
from schemas.json_schema import DIALECT, SHAPES, json_schemas
from schemas.problems import FieldError, Problem, ProblemBody
from schemas.tasks import Task, TaskFields
from schemas.tokens import TokenKey
from streams.relay.envelope import encode_envelope
from streams.store.outbox import OutboxRow
from tests.unit.schemas.samples import (
    EVENT_ID,
    TASK_ID,
    USER_ID,
    change_json,
    envelope_json,
    task_json,
)

JsonObject = dict[str, Any]
NOW = datetime(2027, 1, 1, tzinfo=UTC)
POSITION = "p" * 48
DOCUMENTS = json_schemas()
REMINDER = {
    "task": task_json(),
    "remind_at": "2027-01-31T08:00:00Z",
    "fired_at": "2027-01-31T08:00:00.010000Z",
    "late": False,
}
SENT = {"notification_id": str(EVENT_ID), "channel": "webhook", "task_id": str(TASK_ID)}
ENDED = {"actor": {"kind": "user", "id": str(USER_ID)}}
DATA: Mapping[str, JsonObject] = {type_: change_json() for type_ in EVENTS} | {
    "taskflow.reminder.due": REMINDER,
    "taskflow.notification.sent": SENT,
    "taskflow.notification.failed": SENT | {"error": "410 Gone"},
    "taskflow.channel.off": {
        "channel_id": str(EVENT_ID),
        "channel": "webhook",
        "name": "home",
        "error": "the receiver answered 410",
    },
    "taskflow.mail.requested": {"mail_id": str(EVENT_ID)},
    "taskflow.session.revoked": ENDED,
    "taskflow.user.deleted": ENDED,
}


def takes(name: str, value: object) -> bool:
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator(DOCUMENTS[name], format_checker=checker).is_valid(value)


def event(type_: str) -> JsonObject:
    """Give an event as the relay writes it."""
    row = OutboxRow(
        seq=1,
        event_id=EVENT_ID,
        type=type_,
        source="/taskflow/api",
        user_id=USER_ID,
        subject=str(TASK_ID),
        occurred_at="2027-01-01T00:00:00.000000Z",
        traceparent=None,
        data=json.dumps(DATA[type_]),
    )
    written: JsonObject = json.loads(encode_envelope(row))
    return written


@pytest.mark.parametrize("name", SHAPES)
def test_each_document_is_a_schema_of_the_2020_dialect_with_a_name_of_its_own(name: str) -> None:
    document = DOCUMENTS[name]
    Draft202012Validator.check_schema(document)
    assert document["$schema"] == DIALECT
    assert document["$id"] == f"urn:taskflow:schema:{name}"
    assert document["title"]
    assert "\n" not in document["description"]
    json.dumps(document)


def test_titles_and_ids_are_all_different() -> None:
    for member in ("$id", "title"):
        found = [document[member] for document in DOCUMENTS.values()]
        assert len(set(found)) == len(found)


def refs_in(value: object) -> list[str]:
    match value:
        case {"$ref": str() as ref}:
            return [ref]
        case dict():
            return [ref for inner in value.values() for ref in refs_in(inner)]
        case list():
            return [ref for inner in value for ref in refs_in(inner)]
        case _:
            return []


@pytest.mark.parametrize("name", SHAPES)
def test_a_document_refers_to_nothing_outside_of_itself(name: str) -> None:
    parts = DOCUMENTS[name].get("$defs", {})
    assert {ref.removeprefix("#/$defs/") for ref in refs_in(DOCUMENTS[name])} == set(parts)


@pytest.mark.parametrize("type_", EVENTS)
def test_an_event_as_the_relay_writes_it_is_valid(type_: str) -> None:
    assert takes("envelope", event(type_))
    assert takes(type_, event(type_))
    assert takes(type_, event(type_) | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
    assert takes(type_, event(type_) | {"of_a_later_version": 1})
    EVENTS[type_].model_validate(event(type_))


@pytest.mark.parametrize("type_", EVENTS)
def test_an_event_of_another_type_or_without_a_member_is_not_valid(type_: str) -> None:
    assert not takes(type_, event(type_) | {"type": "taskflow.task.unknown"})
    for member in event(type_):
        assert not takes(type_, {k: v for k, v in event(type_).items() if k != member})
    for member in DATA[type_]:
        data = {k: v for k, v in DATA[type_].items() if k != member}
        assert not takes(type_, event(type_) | {"data": data})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("specversion", "1.1"),
        ("id", "1"),
        ("time", 1798761600),
        ("datacontenttype", "text/plain"),
        ("partitionkey", None),
        ("traceparent", "00-x"),
        ("data", []),
        ("data", change_json(task=task_json(title=""))),
        ("data", change_json(actor={"kind": "nobody", "id": "x"})),
        ("data", change_json(changed="title")),
    ],
)
def test_an_event_with_a_member_spoiled_is_not_valid(member: str, value: object) -> None:
    assert not takes("taskflow.task.updated", envelope_json() | {member: value})


def test_a_task_as_it_is_answered_is_valid_and_each_of_its_fields_is_required() -> None:
    """But for two that may be null and were added: older events are without them."""
    added = {"recurrence_rule", "recurrence_anchor"}
    written = json.loads(Task.model_validate(task_json()).model_dump_json())
    assert takes("task", written)
    for field in written:
        left = {k: v for k, v in written.items() if k != field}
        assert takes("task", left) is (field in added)


@pytest.mark.parametrize("name", ["task-create", "task-put", "task-patch"])
@pytest.mark.parametrize(
    ("field", "value", "valid"),
    [
        ("title", "x" * 500, True),
        ("title", "x" * 501, False),
        ("title", "", False),
        ("title", None, False),
        ("description", None, True),
        ("due_date", "2027-02-28", True),
        ("due_date", "2027-02-29", False),
        ("recurrence_interval", 0, False),
        ("recurrence_interval", 1_000, False),
        ("recurrence_pattern", "hourly", False),
        ("tags", ["a"] * 20, True),
        ("tags", ["a"] * 21, False),
        ("tags", None, False),
        ("version", 1, False),
        ("titel", "x", False),
    ],
)
def test_a_tasks_body_is_valid_as_the_api_takes_it(
    name: str,
    field: str,
    value: object,
    valid: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert takes(name, {"title": "Pay rent"} | {field: value}) is valid


def test_defaults_are_told_only_where_they_are_used() -> None:
    def told(name: str) -> set[str]:
        return {k for k, v in DOCUMENTS[name]["properties"].items() if "default" in v}

    assert told("task-create") == set(TaskFields.model_fields) - {"title"}
    assert told("task-put") == told("task-create")
    assert told("task-patch") == set()
    assert DOCUMENTS["task-patch"].get("required", []) == []
    assert "status" in DOCUMENTS["task-patch"]["properties"]


@pytest.mark.parametrize(
    ("name", "body", "valid"),
    [
        ("register", {"email": "a@b.co", "password": "x" * 10}, True),
        ("register", {"email": "a@b.co", "password": "x" * 9}, False),
        ("register", {"email": "a@b.co"}, False),
        ("register", {"email": "a@b.co", "password": "x" * 10, "admin": True}, False),
        ("login", {"email": "a@b.co", "password": "x"}, True),
        ("login", {"email": "a@b.co"}, False),
        ("frame-ping", {"type": "ping"}, True),
        ("frame-ping", {"type": "ping", "n": 1}, False),
        ("frame-auth", {"type": "auth", "token": "t"}, True),
        ("frame-auth", {"type": "auth", "token": "t", "position": POSITION}, True),
        ("frame-auth", {"type": "auth", "token": ""}, False),
        ("frame-auth", {"type": "ping", "token": "t"}, False),
    ],
)
def test_what_clients_send_is_valid_as_it_is_taken(
    name: str,
    body: object,
    valid: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert takes(name, body) is valid


FRAMES: Mapping[str, bytes] = {
    "frame-hello": hello_frame(USER_ID, POSITION, 24.5),
    "frame-resumed": not_recovered_frame(POSITION, Reason.UNKNOWN),
    "frame-event": event_frame(POSITION, json.dumps(envelope_json()).encode()),
    "frame-pong": PONG,
    "frame-error": b'{"type":"error","code":"slow","message":"Later."}',
}


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_as_the_gateway_writes_it_is_valid_and_no_other_frame_is(name: str) -> None:
    for other, frame in FRAMES.items():
        assert takes(name, json.loads(frame)) is (name == other)


def test_a_recovered_position_needs_no_reason() -> None:
    frame = {"type": "resumed", "recovered": True, "position": POSITION}
    assert takes("frame-resumed", frame)
    assert takes("frame-resumed", frame | {"reason": None})
    assert not takes("frame-resumed", frame | {"reason": "bored"})


def test_a_problem_as_it_is_answered_is_valid() -> None:
    body = ProblemBody(
        type=Problem.VALIDATION.urn,
        title=Problem.VALIDATION.title,
        status=Problem.VALIDATION.status,
        detail="One field is not valid.",
        request_id="r",
        errors=(FieldError(field="/title", rule="max_length", message="too long"),),
    )
    written = json.loads(body.model_dump_json())
    assert takes("problem", written)
    assert not takes("problem", written | {"status": 200})
    assert not takes("problem", written | {"errors": [{"field": "/title"}]})


def test_a_tokens_claims_are_valid() -> None:
    key = TokenKey("s" * 32)
    claims = key.check(key.issue(USER_ID, UUID(int=2), NOW), NOW)
    written = json.loads(claims.model_dump_json())
    assert takes("token-claims", written)
    assert not takes("token-claims", written | {"aud": "other"})
