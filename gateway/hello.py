"""The first frames of a connection: hello, and what is said about a position that was brought."""

from math import ceil
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from schemas import codec
from schemas.frames import Hello, PositionText


class Resumed(BaseModel):
    """What became of the position that a client brought."""

    model_config = ConfigDict(frozen=True)

    type: Literal["resumed"] = "resumed"
    recovered: bool
    position: PositionText
    reason: Literal["expired", "unknown", "too_much"] | None = None


def hello_frame(user_id: UUID, position: str, heartbeat_s: float) -> bytes:
    """Say who is listening, and from where; the heartbeat is told in whole seconds, rounded up."""
    hello = Hello(user_id=user_id, position=position, heartbeat_s=ceil(heartbeat_s))
    return codec.encode(hello.model_dump(mode="json"))


def not_resumed_frame(position: str) -> bytes:
    """Say that nothing missed will come, so that the client loads afresh rather than waits."""
    resumed = Resumed(recovered=False, position=position, reason="unknown")
    return codec.encode(resumed.model_dump(mode="json"))
