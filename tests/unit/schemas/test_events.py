"""Events: the envelope is checked, its data by its type, and what is unknown is let be."""

from typing import get_args

import pytest
from pydantic import ValidationError

from schemas.events import EVENTS, ActorKind, Envelope, TaskChange, TaskEventType
from tests.unit.schemas.samples import change_json, envelope_json

UPDATED = EVENTS["taskflow.task.updated"]
TRACE = f"00-{'a' * 32}-{'b' * 16}-01"


def test_the_known_types_are_the_contracts() -> None:
    tasks = ["created", "updated", "completed", "reopened", "deleted", "restored", "purged"]
    assert set(EVENTS) == {f"taskflow.task.{verb}" for verb in tasks} | {
        "taskflow.reminder.due",
        "taskflow.notification.sent",
        "taskflow.notification.failed",
        "taskflow.channel.off",
        "taskflow.mail.requested",
        "taskflow.session.revoked",
        "taskflow.user.deleted",
    }
    assert [type_.verb for type_ in TaskEventType] == tasks


def test_the_kinds_of_actors_are_the_contracts() -> None:
    assert set(ActorKind) == {"user", "api_key", "worker", "import", "operator"}


@pytest.mark.parametrize("type_", EVENTS)
def test_the_model_of_a_type_takes_that_type_alone(type_: str) -> None:
    assert get_args(EVENTS[type_].model_fields["type"].annotation) == (type_,)
    with pytest.raises(ValidationError):
        EVENTS[type_].model_validate(envelope_json(type="taskflow.task.unknown"))


def test_an_event_is_read_with_its_data() -> None:
    event = UPDATED.model_validate(envelope_json(traceparent=TRACE))
    data: object = event.data
    assert isinstance(data, TaskChange)
    assert data.changed == ("title",)
    assert event.traceparent == TRACE


def test_an_envelope_is_read_whatever_its_data_and_its_type() -> None:
    event = Envelope.model_validate(envelope_json(type="taskflow.future.made", data={"a": 1}))
    assert event.data == {"a": 1}
    assert event.traceparent is None


def test_what_a_later_version_adds_is_ignored() -> None:
    later = UPDATED.model_validate(envelope_json(dataschema="x", data=change_json(why="y")))
    assert later == UPDATED.model_validate(envelope_json())


@pytest.mark.parametrize("member", sorted(envelope_json()))
def test_an_envelope_without_a_member_is_refused(member: str) -> None:
    with pytest.raises(ValidationError, match=member):
        Envelope.model_validate({k: v for k, v in envelope_json().items() if k != member})


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("specversion", "0.3"),
        ("id", "not-a-uuid"),
        ("source", ""),
        ("type", "Taskflow.task.created"),
        ("type", "taskflow.task.created\n"),
        ("type", "x" * 101),
        ("subject", "x" * 201),
        ("time", "yesterday"),
        ("time", "2027-01-01T00:00:00"),
        ("datacontenttype", "application/xml"),
        ("partitionkey", "ada"),
        ("traceparent", TRACE.upper()),
        ("traceparent", TRACE + "\n"),
        ("data", None),
        ("data", "{}"),
    ],
)
def test_an_envelope_with_a_member_spoiled_is_refused(member: str, value: object) -> None:
    with pytest.raises(ValidationError, match=member):
        Envelope.model_validate(envelope_json() | {member: value})


@pytest.mark.parametrize(
    "data",
    [
        {},
        change_json(task=None),
        change_json(actor=None),
        change_json(actor={"kind": "user"}),
        change_json(actor={"kind": "user", "id": ""}),
        change_json(changed=["x" * 101]),
        change_json(changed=["x"] * 101),
    ],
)
def test_a_change_that_is_not_whole_is_refused(data: object) -> None:
    with pytest.raises(ValidationError):
        UPDATED.model_validate(envelope_json(data=data))
