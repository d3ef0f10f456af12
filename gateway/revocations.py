"""Revocations: sessions and users whose tokens count no more, though they have not expired."""

from collections import OrderedDict
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
    """What was revoked within a token's lifetime; older tokens have expired by themselves.

    The oldest beyond `revocations_max` are forgotten before their time: the contract lets a revoked
    session's token live until its `exp`.
    """

    revocations_max: int
    _until: OrderedDict[Revocation, datetime] = field(default_factory=OrderedDict)
    """In the order of the instants."""

    def note(self, revocation: Revocation, now: datetime) -> None:
        """Remember one for as long as a token that was made before it may live."""
        self._forget(now)
        self._until[revocation] = now + LIFETIME + 2 * LEEWAY
        self._until.move_to_end(revocation)
        if len(self._until) > self.revocations_max:
            self._until.popitem(last=False)

    def cover(self, claims: Claims, now: datetime) -> bool:
        """Tell whether a token's session, or its user, was revoked."""
        self._forget(now)
        wanted = (Revocation(claims.sub, claims.sid), Revocation(claims.sub, None))
        return any(revocation in self._until for revocation in wanted)

    def _forget(self, now: datetime) -> None:
        while self._until and next(iter(self._until.values())) <= now:
            self._until.popitem(last=False)
