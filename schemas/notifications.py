"""Notifications and channels: what clients send, and what they are shown."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError, PydanticKnownError

from schemas.events import CHANGE_TYPES, REMINDER_DUE

URL_CHARS_MAX = 2_000
TYPES_MAX = 20
EMAIL_TYPES = (REMINDER_DUE,)
"""The events that an email can tell of, and what a channel is told of that names none."""
WEBHOOK_TYPES = (REMINDER_DUE, *CHANGE_TYPES)
"""The events that a webhook can be told of."""

_URL = StringConstraints(strip_whitespace=True, min_length=10, max_length=URL_CHARS_MAX)


def _a_type(name: str) -> str:
    if name not in WEBHOOK_TYPES:
        raise PydanticCustomError("enum", "must be the exact name of an event that channels carry")
    return name


def _some(names: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse none, when each is known to be right: the library's own rule counts right ones."""
    if not names:
        raise PydanticKnownError(
            "too_short", {"field_type": "Tuple", "min_length": 1, "actual_length": 0}
        )
    return names


ChannelName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Url = Annotated[str, _URL]
TypeName = Annotated[str, StringConstraints(min_length=1, max_length=100)]
WantedType = Annotated[
    TypeName, AfterValidator(_a_type), Field(json_schema_extra={"enum": list(WEBHOOK_TYPES)})
]
Types = Annotated[
    tuple[WantedType, ...],
    Field(max_length=TYPES_MAX, json_schema_extra={"minItems": 1}),
    AfterValidator(_some),
]


class ChannelKind(StrEnum):
    """By what a user can be told, beside the list of notifications, which is always on."""

    EMAIL = "email"
    WEBHOOK = "webhook"


class ChannelCreate(BaseModel):
    """The body that makes a channel; a webhook has a url, and an email has none."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    kind: ChannelKind
    name: ChannelName | None = None
    url: Url | None = Field(default=None, repr=False)
    event_types: Types = EMAIL_TYPES


class ChannelPatch(BaseModel):
    """The body that changes a channel: only what it names; what it names is not null."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: ChannelName = "-"
    url: Url = Field(default="-", repr=False)
    event_types: Types = EMAIL_TYPES
    enabled: Annotated[bool, Field(strict=True)] = True


class Channel(BaseModel):
    """A channel as its user sees it; secrets are shown once, when they are made."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    kind: ChannelKind
    name: str = Field(max_length=100)
    url: str | None = Field(max_length=URL_CHARS_MAX)
    event_types: tuple[TypeName, ...] = Field(max_length=50)
    enabled: bool
    off_reason: str | None = Field(max_length=1_000)
    failing_since: datetime | None
    version: int = Field(ge=1)
    created_at: datetime
    updated_at: datetime


class ChannelWithSecret(Channel):
    """A channel whose signing secret was just made; it is not shown again."""

    secret: str | None = Field(default=None, max_length=100, repr=False)


class DeliveryState(StrEnum):
    """How far a delivery is."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class Delivery(BaseModel):
    """One message by one channel; a receiver knows it by its id.

    `maybe_repeated` says that the receiver may have got it more than once.
    """

    model_config = ConfigDict(frozen=True)

    id: UUID
    channel_id: UUID
    channel: str = Field(max_length=20)
    notification_id: UUID | None
    event_id: UUID
    event_type: str = Field(max_length=100)
    state: DeliveryState
    attempts: int = Field(ge=0)
    maybe_repeated: bool
    status: int | None
    error: str | None = Field(max_length=1_000)
    created_at: datetime
    next_attempt_at: datetime | None
    done_at: datetime | None


class Notification(BaseModel):
    """What a user is told, and how far each channel has carried it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    event_id: UUID
    type: str = Field(max_length=100)
    task_id: UUID | None
    title: str = Field(max_length=1_000)
    body: str = Field(max_length=2_000)
    created_at: datetime
    read_at: datetime | None
    deliveries: tuple[Delivery, ...] = Field(max_length=100)


class Unread(BaseModel):
    """How many notifications are unread."""

    model_config = ConfigDict(frozen=True)

    unread: int = Field(ge=0)


class VerifyBody(BaseModel):
    """What `POST /api/auth/verify` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(repr=False)


class Verified(BaseModel):
    """What a good token answers."""

    model_config = ConfigDict(frozen=True)

    verified: Literal[True] = True
