"""What clients send to write a task."""

from pydantic import ConfigDict, Field

from schemas.codec import JsonObject
from schemas.tasks import Status, TaskFields, Title


def _tell_no_default(rule: JsonObject) -> None:
    """Leave the default out of a field's schema: absent, the field keeps what it is."""
    rule.pop("default", None)


def _tell_no_defaults(schema: JsonObject) -> None:
    for rule in schema["properties"].values():
        _tell_no_default(rule)


class TaskPut(TaskFields):
    """The body of a PUT: all that a client sets; what is absent gets its default, status stays.

    Whether `status` was given is in `model_fields_set`.
    """

    status: Status = Field(default=Status.PENDING, json_schema_extra=_tell_no_default)


class TaskPatch(TaskPut):
    """The body of a PATCH: only what it names is merged (RFC 7396), and null clears.

    What it names is in `model_fields_set`; the defaults are never used. Null is an error where the
    field may not be null.
    """

    model_config = ConfigDict(json_schema_extra=_tell_no_defaults)

    title: Title = "-"
