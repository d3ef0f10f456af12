"""The first frames of a connection: hello, and what became of the position that was brought."""

from math import ceil
from uuid import UUID

from gateway.search import Reason
from schemas import codec
from schemas.frames import Hello, Resumed


def hello_frame(user_id: UUID, position: str, heartbeat_s: float) -> bytes:
    """Say who is listening, and from where; the heartbeat is told in whole seconds, rounded up."""
    hello = Hello(user_id=user_id, position=position, heartbeat_s=ceil(heartbeat_s))
    return codec.encode(hello.model_dump(mode="json"))


def recovered_frame(position: str) -> bytes:
    """Say that everything that was missed has come."""
    return _encode(Resumed(recovered=True, position=position))


def not_recovered_frame(position: str, reason: Reason) -> bytes:
    """Say that nothing missed will come, so that the client loads afresh rather than waits."""
    return _encode(Resumed(recovered=False, position=position, reason=reason.value))


def _encode(resumed: Resumed) -> bytes:
    return codec.encode(resumed.model_dump(mode="json", exclude_none=True))
