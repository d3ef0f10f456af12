"""Every shape that crosses a process boundary, as a JSON Schema document (draft 2020-12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema
from pydantic_core import core_schema

from schemas.accounts import ForgotBody, LoginBody, RegisterBody, ResetBody, Session, User
from schemas.bodies import TaskPatch, TaskPut
from schemas.codec import JsonObject
from schemas.events import EVENTS, Envelope
from schemas.frames import Auth, ErrorFrame, EventFrame, Hello, Ping, Pong, Resumed
from schemas.notifications import (
    Channel,
    ChannelCreate,
    ChannelPatch,
    ChannelWithSecret,
    Delivery,
    Notification,
    Unread,
    Verified,
    VerifyBody,
)
from schemas.occurrences import Occurrence
from schemas.problems import ProblemBody
from schemas.reminders import Reminder, ReminderCreate, ReminderSettings, Snooze
from schemas.tasks import Task, TaskFields
from schemas.tokens import Claims

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_TAKEN: Final = "validation"
_GIVEN: Final = "serialization"


@dataclass(frozen=True, slots=True)
class Shape:
    """A model, and whether TaskFlow takes it from others or gives it to them."""

    model: type[BaseModel]
    mode: JsonSchemaMode


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {
        "task": Shape(Task, _GIVEN),
        "task-create": Shape(TaskFields, _TAKEN),
        "task-put": Shape(TaskPut, _TAKEN),
        "task-patch": Shape(TaskPatch, _TAKEN),
        "occurrence": Shape(Occurrence, _GIVEN),
        "reminder": Shape(Reminder, _GIVEN),
        "reminder-create": Shape(ReminderCreate, _TAKEN),
        "reminder-snooze": Shape(Snooze, _TAKEN),
        "reminder-settings": Shape(ReminderSettings, _TAKEN),
        "register": Shape(RegisterBody, _TAKEN),
        "login": Shape(LoginBody, _TAKEN),
        "password-forgot": Shape(ForgotBody, _TAKEN),
        "password-reset": Shape(ResetBody, _TAKEN),
        "user": Shape(User, _GIVEN),
        "session": Shape(Session, _GIVEN),
        "notification": Shape(Notification, _GIVEN),
        "unread": Shape(Unread, _GIVEN),
        "channel": Shape(Channel, _GIVEN),
        "channel-secret": Shape(ChannelWithSecret, _GIVEN),
        "channel-create": Shape(ChannelCreate, _TAKEN),
        "channel-patch": Shape(ChannelPatch, _TAKEN),
        "delivery": Shape(Delivery, _GIVEN),
        "verify": Shape(VerifyBody, _TAKEN),
        "verified": Shape(Verified, _GIVEN),
        "problem": Shape(ProblemBody, _GIVEN),
        "token-claims": Shape(Claims, _GIVEN),
        "frame-ping": Shape(Ping, _TAKEN),
        "frame-auth": Shape(Auth, _TAKEN),
        "frame-hello": Shape(Hello, _GIVEN),
        "frame-resumed": Shape(Resumed, _GIVEN),
        "frame-event": Shape(EventFrame, _GIVEN),
        "frame-pong": Shape(Pong, _GIVEN),
        "frame-error": Shape(ErrorFrame, _GIVEN),
        "envelope": Shape(Envelope, _GIVEN),
    }
    | {type_: Shape(model, _GIVEN) for type_, model in EVENTS.items()}
)
"""The shapes by the name of their document; that of an event is its type."""


def json_schemas() -> dict[str, JsonObject]:
    """Give a document for each shape by its name: whole in itself, its `$id` made of the name.

    Lengths count code points, after trimming where the API trims. Unknown members are forbidden in
    what is taken, and to be ignored in what is given.
    """
    return {name: _document(name, shape) for name, shape in SHAPES.items()}


def definitions(shapes: Sequence[Shape], ref_template: str) -> dict[str, JsonObject]:
    """Give the schemas of several shapes and of all they are made of, by the names of the models.

    `ref_template` is how one refers to another, with `{model}` for its name.
    """
    _, joint = models_json_schema(
        [(shape.model, shape.mode) for shape in shapes],
        ref_template=ref_template,
        schema_generator=_Writer,
    )
    found: dict[str, JsonObject] = joint["$defs"]
    return {name: _told_briefly(schema) for name, schema in found.items()}


class _Writer(GenerateJsonSchema):
    """Pydantic's own, without a title for each field, and with what is given always there."""

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - the library's
        """Leave a field's title out: it only says the name again."""
        return False

    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,  # noqa: FBT001 - the signature is the library's
    ) -> bool:
        """Say that a member is there: what we give leaves out nothing but what is null."""
        schema = field["schema"]
        if self.mode == _GIVEN and schema["type"] == "default":
            return schema.get("default") is not None
        return super().field_is_required(field, total)


def _document(name: str, shape: Shape) -> JsonObject:
    schema = shape.model.model_json_schema(mode=shape.mode, schema_generator=_Writer)
    parts: dict[str, JsonObject] = schema.pop("$defs", {})
    document: JsonObject = {"$schema": DIALECT, "$id": f"urn:taskflow:schema:{name}"}
    document |= _told_briefly(schema)
    if parts:
        document["$defs"] = {part: _told_briefly(rule) for part, rule in parts.items()}
    return document


def _told_briefly(schema: JsonObject) -> JsonObject:
    """Keep the first sentence of a docstring; what follows it is for who reads the source."""
    if "description" not in schema:
        return schema
    return schema | {"description": schema["description"].partition("\n\n")[0].replace("\n", " ")}
