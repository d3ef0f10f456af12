"""Websocket frames and close codes of `taskflow.v1`."""

from enum import Enum
from typing import Annotated, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, TypeAdapter

from schemas import codec
from schemas.events import Envelope
from schemas.positions import POSITION_CHARS
from schemas.tokens import TOKEN_CHARS_MAX

PROTOCOL: Final = "taskflow.v1"
BEARER_PREFIX = "bearer."
FRAME_BYTES_MAX = 16_384
HEARTBEAT_S = 25
SILENCE_S_MAX = 60
AUTH_S_MAX = 10
_FINAL_CODE_MIN = 4_100

TYPES_MAX = 20
TypePattern = Annotated[
    str, StringConstraints(pattern=r"^taskflow(\.[a-z_]{1,40}){0,3}(\.\*)?$", max_length=100)
]
"""An event's type, or the beginning of some: `taskflow.task.*`."""
TypeFilter = Annotated[tuple[TypePattern, ...], Field(max_length=TYPES_MAX)]
TYPE_FILTER: TypeAdapter[tuple[str, ...]] = TypeAdapter(TypeFilter)

PositionText = Annotated[str, Field(max_length=POSITION_CHARS * 2)]


class Close(Enum):
    """Why the gateway ends a connection; codes below 4100 say: come back after a random wait."""

    SLOW_CONSUMER = (4000, "slow_consumer")
    SHUTTING_DOWN = (4001, "shutting_down")
    TOKEN_EXPIRED = (4002, "token_expired")
    HEARTBEAT_TIMEOUT = (4003, "heartbeat_timeout")
    LOG_UNAVAILABLE = (4004, "log_unavailable")
    UNAUTHENTICATED = (4100, "unauthenticated")
    AUTH_TIMEOUT = (4101, "auth_timeout")
    BAD_FRAME = (4102, "bad_frame")
    FRAME_TOO_LARGE = (4103, "frame_too_large")
    TOO_MANY_CONNECTIONS = (4104, "too_many_connections")
    RATE_LIMITED = (4105, "rate_limited")
    REVOKED = (4106, "revoked")
    FORBIDDEN_ORIGIN = (4107, "forbidden_origin")

    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason

    @property
    def comes_back(self) -> bool:
        """Whether a client should come again, with its position and after a random wait."""
        return self.code < _FINAL_CODE_MIN


class Ping(BaseModel):
    """A client asks whether the gateway is there; the answer is a pong frame."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["ping"]


class Auth(BaseModel):
    """A client shows its token: first, or again to go on with a fresh one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["auth"]
    token: str = Field(min_length=1, max_length=TOKEN_CHARS_MAX, repr=False)
    position: PositionText | None = None
    types: TypeFilter = ()


ClientFrame = Annotated[Ping | Auth, Field(discriminator="type")]
CLIENT_FRAME: TypeAdapter[Ping | Auth] = TypeAdapter(
    ClientFrame, config=ConfigDict(hide_input_in_errors=True)
)


class Hello(BaseModel):
    """The first frame of the gateway: who is listening, and from where."""

    model_config = ConfigDict(frozen=True)

    type: Literal["hello"] = "hello"
    protocol: Literal["taskflow.v1"] = PROTOCOL
    user_id: UUID
    position: PositionText
    heartbeat_s: int = Field(default=HEARTBEAT_S, ge=1)


class Pong(BaseModel):
    """The answer to a client's ping."""

    model_config = ConfigDict(frozen=True)

    type: Literal["pong"] = "pong"


class ErrorFrame(BaseModel):
    """Something that a client asked for was not done; the connection goes on or is then closed."""

    model_config = ConfigDict(frozen=True)

    type: Literal["error"] = "error"
    code: str = Field(max_length=64)
    message: str = Field(max_length=500)


class Resumed(BaseModel):
    """What became of the position that a client brought; not recovered, it loads afresh."""

    model_config = ConfigDict(frozen=True)

    type: Literal["resumed"] = "resumed"
    recovered: bool
    position: PositionText
    reason: Literal["expired", "unknown", "too_much"] | None = None


class EventFrame(BaseModel):
    """An event of the user, and the position to go on from after it.

    For readers and the exported schemas; `event_frame` writes one without making it.
    """

    model_config = ConfigDict(frozen=True)

    type: Literal["event"] = "event"
    position: PositionText
    event: Envelope


ServerFrame = Annotated[
    Hello | Resumed | EventFrame | Pong | ErrorFrame, Field(discriminator="type")
]
SERVER_FRAME: TypeAdapter[Hello | Resumed | EventFrame | Pong | ErrorFrame] = TypeAdapter(
    ServerFrame
)


def event_frame(position: str, envelope: bytes) -> bytes:
    """Wrap an envelope as it stands in the log, without reading it again."""
    return b'{"type":"event","position":' + codec.encode(position) + b',"event":' + envelope + b"}"
