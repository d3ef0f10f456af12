"""The protocol of one connection is pure: frames and moments in, actions out, no sockets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from pydantic import ValidationError

from gateway.limits import Limits
from gateway.moment import Moment
from gateway.rate import Bucket
from schemas import codec
from schemas.codec import MalformedError
from schemas.frames import CLIENT_FRAME, Auth, Close, Ping, Pong, TypeFilter
from schemas.tokens import LEEWAY, Claims, TokenError, TokenExpiredError, TokenKey


@dataclass(frozen=True, slots=True)
class Entry:
    """How a connection came through the handshake: known, refused, or still to say who it is."""

    claims: Claims | None = None
    refusal: Close | None = None
    position: str | None = None
    types: TypeFilter = ()


@dataclass(frozen=True, slots=True)
class Send:
    """Write this text frame."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class SendPing:
    """Write a ping frame of RFC 6455."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """The client is known: say hello and give it its user's events, from `position` if it has one.

    It comes once, and the connection is then the user's until its end.
    """

    claims: Claims
    position: str | None


@dataclass(frozen=True, slots=True)
class Renew:
    """The client goes on with a fresh token, if that one's session is not revoked."""

    claims: Claims


@dataclass(frozen=True, slots=True)
class End:
    """Close the connection; nothing follows."""

    close: Close


Action: TypeAlias = Send | SendPing | Welcome | Renew | End

PONG = codec.encode(Pong().model_dump())
_NOTHING: Sequence[Action] = ()


@dataclass(slots=True)
class Session:
    """One connection's state. After `End` every call gives nothing."""

    key: TokenKey
    limits: Limits
    opened: Moment
    claims: Claims | None = None
    position: str | None = None
    types: TypeFilter = ()
    ended: bool = False
    _heard_s: float = field(init=False)
    _pinged_s: float = field(init=False)
    _bucket: Bucket = field(init=False)

    def __post_init__(self) -> None:
        """Begin all times at the opening."""
        self._heard_s = self._pinged_s = self.opened.ticks_s
        self._bucket = Bucket(
            self.limits.frames_burst, self.limits.frames_per_s, self.opened.ticks_s
        )

    def enter(self, entry: Entry) -> Sequence[Action]:
        """Take up what the handshake found."""
        self.position, self.types = entry.position, entry.types
        if entry.refusal:
            return self.end(entry.refusal)
        if entry.claims:
            return self._welcome(entry.claims)
        return _NOTHING

    def hear(self, now: Moment) -> Sequence[Action]:
        """Note that some frame came, of whatever kind."""
        if self.ended:
            return _NOTHING
        self._heard_s = now.ticks_s
        return _NOTHING if self._bucket.take(now.ticks_s) else self.end(Close.RATE_LIMITED)

    def receive(self, message: str | bytes, now: Moment) -> Sequence[Action]:
        """Answer a whole message; bytes are a binary one, which the protocol does not have."""
        if self.ended:
            return _NOTHING
        if isinstance(message, bytes):
            return self.end(Close.BAD_FRAME)
        try:
            frame = CLIENT_FRAME.validate_python(codec.decode_strictly(message.encode()))
        except (MalformedError, ValidationError):
            return self.end(Close.BAD_FRAME)
        match frame:
            case Auth():
                return self._authenticate(frame, now)
            case Ping() if self.claims:
                return (Send(PONG),)
            case Ping():
                return self.end(Close.UNAUTHENTICATED)

    def tick(self, now: Moment) -> Sequence[Action]:
        """Do what has become due; call it when `wait_s` is over, later is no harm."""
        if self.ended:
            return _NOTHING
        if self.claims is None and now.ticks_s - self.opened.ticks_s >= self.limits.auth_s_max:
            return self.end(Close.AUTH_TIMEOUT)
        if self.claims and now.at >= self.claims.expires_at + LEEWAY:
            return self.end(Close.TOKEN_EXPIRED)
        if now.ticks_s - self._heard_s >= self.limits.silence_s_max:
            return self.end(Close.HEARTBEAT_TIMEOUT)
        if now.ticks_s - self._pinged_s >= self.limits.heartbeat_s:
            self._pinged_s = now.ticks_s
            return (SendPing(),)
        return _NOTHING

    def wait_s(self, now: Moment) -> float:
        """Give the seconds until `tick` has something to do, never under 0."""
        due_s = min(
            self._heard_s + self.limits.silence_s_max,
            self._pinged_s + self.limits.heartbeat_s,
        )
        if self.claims is None:
            due_s = min(due_s, self.opened.ticks_s + self.limits.auth_s_max)
        left_s = due_s - now.ticks_s
        if self.claims:
            left_s = min(left_s, (self.claims.expires_at + LEEWAY - now.at).total_seconds())
        return max(0.0, left_s)

    def wants(self, event_type: str) -> bool:
        """Tell whether the client asked for events of this type; who asked for none gets all."""
        return not self.types or any(
            event_type == wanted or (wanted.endswith(".*") and event_type.startswith(wanted[:-1]))
            for wanted in self.types
        )

    def end(self, close: Close) -> Sequence[Action]:
        """End the connection, unless it has ended."""
        if self.ended:
            return _NOTHING
        self.ended = True
        return (End(close),)

    def _authenticate(self, frame: Auth, now: Moment) -> Sequence[Action]:
        try:
            claims = self.key.check(frame.token, now.at)
        except TokenError as error:
            return self.end(refusal_of(error))
        if self.claims is None:
            self.position = frame.position or self.position
            self.types = frame.types or self.types
            return self._welcome(claims)
        if claims.sub != self.claims.sub:
            return self.end(Close.UNAUTHENTICATED)
        self.claims = claims
        return (Renew(claims),)

    def _welcome(self, claims: Claims) -> Sequence[Action]:
        self.claims = claims
        position, self.position = self.position, None
        return (Welcome(claims, position),)


def refusal_of(error: TokenError) -> Close:
    """Choose the code for a bad token: one whose time is over may come back with a fresh one."""
    if isinstance(error, TokenExpiredError):
        return Close.TOKEN_EXPIRED
    return Close.UNAUTHENTICATED
