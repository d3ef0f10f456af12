"""The hub knows which listeners a user has, and gives each of them the same bytes."""

from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from gateway.arrivals import Arrival
from gateway.revocations import Revocation
from schemas.frames import Close, event_frame
from schemas.positions import PositionSeal
from streams.observability.metrics import CONNECTIONS


class Listener(Protocol):
    """A connection, as the hub sees it. Neither call waits, and neither raises."""

    @property
    def session_id(self) -> UUID | None:
        """The session of its token."""
        ...

    def deliver(self, event_type: str, frame: bytes) -> None:
        """Take an event frame."""
        ...

    def end(self, close: Close) -> None:
        """Close; the listener leaves the hub by itself."""
        ...


@dataclass(slots=True)
class Hub:
    """Listeners by user. Nothing here awaits, so a slow listener holds up nobody."""

    seal: PositionSeal
    _listeners: dict[UUID, set[Listener]] = field(default_factory=dict)

    def join(self, user_id: UUID, listener: Listener) -> None:
        """Give a listener its user's arrivals from now on."""
        self._listeners.setdefault(user_id, set()).add(listener)
        CONNECTIONS.inc()

    def leave(self, user_id: UUID, listener: Listener) -> None:
        """Give it no more; a listener that never joined is ignored."""
        listeners = self._listeners.get(user_id, set())
        if listener not in listeners:
            return
        listeners.remove(listener)
        CONNECTIONS.dec()
        if not listeners:
            del self._listeners[user_id]

    @property
    def count(self) -> int:
        """The number of all listeners."""
        return sum(map(len, self._listeners.values()))

    def count_of(self, user_id: UUID) -> int:
        """Give the number of a user's listeners."""
        return len(self._listeners.get(user_id, ()))

    def deliver(self, arrival: Arrival) -> bool:
        """Build the frame once and give it to every listener of the user; say if there was one."""
        listeners = self._listeners.get(arrival.user_id)
        if not listeners:
            return False
        frame = self.frame_of(arrival)
        for listener in tuple(listeners):
            listener.deliver(arrival.type, frame)
        return True

    def frame_of(self, arrival: Arrival) -> bytes:
        """Build an event's frame."""
        return event_frame(self.seal.write(arrival.position, arrival.user_id), arrival.envelope)

    def revoke(self, revocation: Revocation) -> None:
        """Close the listeners of a session, or of a user, that is no more."""
        for listener in tuple(self._listeners.get(revocation.user_id, ())):
            if revocation.session_id in {None, listener.session_id}:
                listener.end(Close.REVOKED)

    def end_all(self, close: Close) -> None:
        """Close every listener."""
        for listeners in tuple(self._listeners.values()):
            for listener in tuple(listeners):
                listener.end(close)
