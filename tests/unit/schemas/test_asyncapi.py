"""The AsyncAPI document: whole, and true of what the relay, the workers and the gateway send."""

import json
import re
from collections.abc import Iterator
from typing import Any, TypeAlias

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012, SchemaRegistry

from schemas.asyncapi import DEAD_LETTER, OTHER, asyncapi, message_names
from schemas.codec import MalformedError, decode
from schemas.events import EVENTS
from schemas.frames import Close
from schemas.topics import REMINDERS, SOURCES, TASK_EVENTS, TASK_UPDATES, TOPICS, Topic
from streams.domain.routing import topics_of
from streams.effects.dead_letters import dead_letter
from streams.relay.envelope import messages_of
from streams.store.outbox import OutboxRow
from streams.transport.interface import Headers, Record
from tests.unit.schemas.samples import EVENT_ID, TASK_ID, USER_ID, change_json, envelope_json

JsonObject: TypeAlias = dict[str, Any]
DOCUMENT = asyncapi()
MESSAGES: JsonObject = DOCUMENT["components"]["messages"]
REGISTRY: SchemaRegistry = Registry().with_resource(
    "urn:document", DRAFT202012.create_resource(DOCUMENT)
)


def found(ref: str) -> JsonObject:
    """Follow a reference, as JSON Pointer has it."""
    place: Any = DOCUMENT
    assert ref.startswith("#/")
    for step in ref[2:].split("/"):
        place = place[step]
    assert isinstance(place, dict)
    return place


def refs_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            assert set(value) - {"default"} == {"$ref"}
            yield value["$ref"]
        for inner in value.values():
            yield from refs_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from refs_in(inner)


def takes(schema: JsonObject, value: object) -> bool:
    if "$ref" in schema:
        schema = {"$ref": f"urn:document{schema['$ref']}"}
    return Draft202012Validator(schema, registry=REGISTRY).is_valid(value)


def as_text(headers: Headers) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


def row(type_: str) -> OutboxRow:
    data = json.dumps(change_json())
    time = "2027-01-01T00:00:00.000000Z"
    return OutboxRow(1, EVENT_ID, type_, "/x", USER_ID, str(TASK_ID), time, None, data)


def test_the_document_has_all_that_asyncapi_3_requires() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for server in DOCUMENT["servers"].values():
        assert {"host", "protocol"} <= set(server)
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert set(operation["channel"]) == {"$ref"}
    json.dumps(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    refs = set(refs_in(DOCUMENT))
    assert len(refs) > 50
    for ref in refs:
        assert found(ref) is not None


def test_every_component_has_a_name_that_asyncapi_allows_and_is_used() -> None:
    refs = set(refs_in(DOCUMENT))
    for kind, components in DOCUMENT["components"].items():
        for name in components:
            assert re.fullmatch(r"[A-Za-z0-9._-]+", name)
            assert f"#/components/{kind}/{name}" in refs


def test_an_operations_messages_are_those_of_its_channel() -> None:
    operations = DOCUMENT["operations"].values()
    for operation in (*operations, *(one["reply"] for one in operations if "reply" in one)):
        channel = operation["channel"]["$ref"]
        assert operation["messages"]
        for message in operation["messages"]:
            assert message["$ref"].startswith(f"{channel}/messages/")


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_each_topic_is_a_channel_as_it_is_created(topic: Topic) -> None:
    channel = DOCUMENT["channels"][topic.name]
    bound = channel["bindings"]["kafka"]
    assert channel["address"] == bound["topic"] == topic.name
    assert (bound["partitions"], bound["replicas"]) == (12, 1)
    assert bound["topicConfiguration"] == {
        "cleanup.policy": ["delete"],
        "retention.ms": topic.retention.days * 86_400_000,
        "max.message.bytes": topic.message_bytes_max,
    }


def test_the_channels_are_the_topics_and_the_websocket() -> None:
    assert set(DOCUMENT["channels"]) == {topic.name for topic in TOPICS} | {"ws"}


@pytest.mark.parametrize("topic", SOURCES, ids=lambda topic: topic.name)
def test_a_topic_carries_the_events_that_the_relay_sends_there_and_no_others(topic: Topic) -> None:
    carried = {type_ for type_ in EVENTS if topic in topics_of(type_)}
    assert set(message_names(topic)) == carried | {OTHER}


def test_what_each_topic_carries_is_the_contracts() -> None:
    reminder, tasks = "taskflow.reminder.due", "taskflow.task.created"
    assert reminder in message_names(REMINDERS)
    assert reminder in message_names(TASK_UPDATES)
    assert reminder not in message_names(TASK_EVENTS)
    assert tasks in message_names(TASK_EVENTS)
    assert tasks not in message_names(REMINDERS)
    assert message_names(TASK_EVENTS.dead_letters) == (DEAD_LETTER,)


def test_a_message_of_the_relay_is_as_described() -> None:
    message, *_ = messages_of(row("taskflow.task.updated"), epoch=7)
    described = MESSAGES["taskflow.task.updated"]
    headers = as_text(message.headers)
    assert set(headers) == set(described["headers"]["properties"])
    assert takes(described["headers"], headers)
    assert takes(described["payload"], json.loads(message.value))
    assert takes(described["bindings"]["kafka"]["key"], message.key.decode())
    assert described["contentType"] == headers["content-type"]


@pytest.mark.parametrize("name", ["content-type", "epoch"])
def test_a_message_without_a_header_is_not_as_described(name: str) -> None:
    message, *_ = messages_of(row("taskflow.task.updated"), epoch=7)
    headers = {k: v for k, v in as_text(message.headers).items() if k != name}
    assert not takes(MESSAGES["taskflow.task.updated"]["headers"], headers)
    assert not takes(MESSAGES["taskflow.task.updated"]["headers"], headers | {name: "x"})


@pytest.mark.parametrize("headers", [(), (("epoch", b"7"),)])
def test_a_dead_letter_is_as_described_whatever_headers_it_had(headers: Headers) -> None:
    record = Record("task-events", 3, 41, None, b"{", headers, 0)
    with pytest.raises(MalformedError) as caught:
        decode(b"{")
    letter = dead_letter(record, "audit", caught.value)
    described = MESSAGES[DEAD_LETTER]["headers"]
    assert takes(described, as_text(letter.headers))
    added = {name for name, _ in letter.headers} - {"epoch"}
    assert set(described["required"]) <= added <= set(described["properties"])
    assert not takes(described, as_text(letter.headers) | {"dlq-offset": "-1"})
    assert letter.topic in DOCUMENT["channels"]


def test_the_payload_of_an_event_of_another_type_is_an_envelope() -> None:
    event = envelope_json(type="taskflow.tag.updated", data={"tag": {}})
    assert takes(MESSAGES[OTHER]["payload"], event)
    assert not takes(MESSAGES["taskflow.task.updated"]["payload"], event)


def test_the_websocket_has_each_frame_and_each_close_code() -> None:
    channel = DOCUMENT["channels"]["ws"]
    assert channel["address"] == "/ws"
    assert set(channel["messages"]) == {name for name in MESSAGES if name.startswith("frame-")}
    assert channel["x-close-codes"] == [
        {"code": close.code, "name": close.reason, "comes_back": close.code < 4_100}
        for close in Close
    ]


def test_a_position_is_asked_for_in_the_form_in_which_it_is_written() -> None:
    query = DOCUMENT["channels"]["ws"]["bindings"]["ws"]["query"]
    assert takes(query, {})
    assert takes(query, {"position": "aZ0_-" * 9 + "abc"})
    for position in ("", "a" * 47, "a" * 49, "+" * 48):
        assert not takes(query, {"position": position})


def test_a_ping_is_answered_with_a_pong() -> None:
    reply = DOCUMENT["operations"]["receive-ping"]["reply"]
    assert [message["$ref"] for message in reply["messages"]] == [
        "#/channels/ws/messages/frame-pong"
    ]
