"""Events are CloudEvents 1.0 in structured JSON; the envelope is checked wherever one is read."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints, create_model

from schemas.codec import JsonObject
from schemas.tasks import Task

CONTENT_TYPE = b"application/cloudevents+json"
TYPE_PREFIX = "taskflow."
TASK_TYPE_PREFIX = "taskflow.task."
TAG_TYPE_PREFIX = "taskflow.tag."
REMINDER_DUE = "taskflow.reminder.due"
NOTIFICATION_SENT = "taskflow.notification.sent"
NOTIFICATION_FAILED = "taskflow.notification.failed"
CHANNEL_OFF = "taskflow.channel.off"
MAIL_REQUESTED = "taskflow.mail.requested"
SESSION_REVOKED = "taskflow.session.revoked"
USER_DELETED = "taskflow.user.deleted"

Name = Annotated[str, StringConstraints(min_length=1, max_length=100)]
TraceParent = Annotated[
    str, StringConstraints(pattern=r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")
]


class TaskEventType(StrEnum):
    """What happened to a task; the audit log keeps all but `purged`."""

    CREATED = "taskflow.task.created"
    UPDATED = "taskflow.task.updated"
    COMPLETED = "taskflow.task.completed"
    REOPENED = "taskflow.task.reopened"
    DELETED = "taskflow.task.deleted"
    RESTORED = "taskflow.task.restored"
    PURGED = "taskflow.task.purged"

    @property
    def verb(self) -> str:
        """The last word of the type, as the audit log calls it."""
        return self.value.removeprefix(TASK_TYPE_PREFIX)


class ActorKind(StrEnum):
    """Who may have caused an event."""

    USER = "user"
    API_KEY = "api_key"
    WORKER = "worker"
    IMPORT = "import"
    OPERATOR = "operator"


class Actor(BaseModel):
    """Who caused an event: a kind, and the id or name within that kind."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    kind: ActorKind
    id: Name


class TaskChange(BaseModel):
    """The data of a task's event: the whole task as it then was, and what changed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Task
    changed: tuple[Name, ...] = Field(default=(), max_length=100)
    actor: Actor


class DueReminder(BaseModel):
    """The data of a reminder that came due: it is never early, and says if it is late."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    task: Task
    remind_at: AwareDatetime
    fired_at: AwareDatetime
    late: bool


class Notified(BaseModel):
    """The data of a notification that went out through a channel."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    notification_id: UUID
    channel: Name
    channel_id: UUID | None = None
    task_id: UUID


class NotNotified(Notified):
    """The data of a notification that a channel did not take, and why."""

    error: str = Field(max_length=1_000)


class SwitchedOff(BaseModel):
    """The data of a channel that was switched off, since nothing arrived there any more."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    channel_id: UUID
    channel: Name
    name: Name
    error: str = Field(max_length=1_000)


class WantedMail(BaseModel):
    """The data of a mail that is to be sent: its id and nothing else, since it proves who reads."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    mail_id: UUID


class Ended(BaseModel):
    """The data of the end of a session, or of an account: its subject says which."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    actor: Actor


class Envelope(BaseModel):
    """The attributes of every event; `data` is left to the reader that knows the type."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: UUID
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    type: Annotated[str, StringConstraints(pattern=r"^[a-z0-9._]{1,100}$")]
    subject: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    time: AwareDatetime
    datacontenttype: Literal["application/json"]
    partitionkey: UUID
    traceparent: TraceParent | None = None
    data: JsonObject


def _event(type_: str, data: type[BaseModel]) -> type[Envelope]:
    """Make the model of a whole event of one type, its data included."""
    words = type_.removeprefix(TYPE_PREFIX).split(".")
    return create_model(
        "".join(word.title() for word in words),
        __base__=Envelope,
        __doc__=f"An event of type {type_}.",
        type=(Literal[type_], ...),  # type: ignore[arg-type]  # known only at import
        data=(data, ...),
    )


_DATA: Mapping[str, type[BaseModel]] = {type_.value: TaskChange for type_ in TaskEventType} | {
    REMINDER_DUE: DueReminder,
    NOTIFICATION_SENT: Notified,
    NOTIFICATION_FAILED: NotNotified,
    CHANNEL_OFF: SwitchedOff,
    MAIL_REQUESTED: WantedMail,
    SESSION_REVOKED: Ended,
    USER_DELETED: Ended,
}

EVENTS: Mapping[str, type[Envelope]] = {type_: _event(type_, data) for type_, data in _DATA.items()}
"""Every type whose data is fixed, and the model of such an event. There may be others, now or
later: a reader that meets one skips it."""

CHANGE_TYPES = tuple(
    sorted(type_ for type_ in EVENTS if type_.startswith((TASK_TYPE_PREFIX, TAG_TYPE_PREFIX)))
)
"""What happens to tasks and tags; all of it is in the topic `task-events`."""
