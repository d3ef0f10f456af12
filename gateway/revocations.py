"""Revocations: sessions and users whose tokens count no more, though they have not expired."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from gateway.arrivals import Arrival
from schemas.events import SESSION_REVOKED, USER_DELETED
from schemas.ids import parse_id
from schemas.tokens import LEEWAY, LIFETIME, Claims


@dataclass(frozen=True, slots=True)
class Revocation:
    """The end of one session, or of all that a user has."""

    user_id: UUID
    session_id: UUID | None
    """None: of all."""


def revocation_of(arrival: Arrival) -> Revocation | None:
    """Give what an event revokes, if it revokes anything."""
    if arrival.type == USER_DELETED:
        return Revocation(arrival.user_id, None)
    if arrival.type == SESSION_REVOKED and (session_id := parse_id(arrival.subject)):
        return Revocation(arrival.user_id, session_id)
    return None


@dataclass(slots=True)
class Revocations:
    """What was revoked within a token's lifetime; older tokens have expired by themselves."""

    _until: dict[Revocation, datetime] = field(default_factory=dict)
    _order: deque[Revocation] = field(default_factory=deque)

    def note(self, revocation: Revocation, now: datetime) -> None:
        """Remember one for as long as a token that was made before it may live."""
        self._forget(now)
        if revocation not in self._until:
            self._order.append(revocation)
        self._until[revocation] = now + LIFETIME + 2 * LEEWAY

    def cover(self, claims: Claims, now: datetime) -> bool:
        """Tell whether a token's session, or its user, was revoked."""
        self._forget(now)
        wanted = (Revocation(claims.sub, claims.sid), Revocation(claims.sub, None))
        return any(revocation in self._until for revocation in wanted)

    def _forget(self, now: datetime) -> None:
        while self._order and self._until[self._order[0]] <= now:
            del self._until[self._order.popleft()]
