"""The handshake decides who may upgrade: pure in the request and the time."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import parse_qs, urlsplit

from pydantic import ValidationError
from websockets.exceptions import InvalidHeader
from websockets.headers import parse_subprotocol
from websockets.http11 import Request

from gateway.answers import Answer, forbidden_origin, malformed, unauthenticated
from gateway.protocol import Entry, refusal_of
from schemas.frames import BEARER_PREFIX, TYPE_FILTER, Close, TypeFilter
from schemas.tokens import TokenError, TokenKey

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Door:
    """Lets in whom the contract lets in.

    A bad `Authorization` and a strange `Origin` are answered over HTTP. A bad token among the
    subprotocols comes through, with a refusal, so that a browser is told by a close code. The
    header goes before the subprotocol; who shows neither is asked for a first frame.
    """

    key: TokenKey
    origins: Sequence[str]

    def decide(self, request: Request, now: datetime) -> Entry | Answer:
        """Give how the connection comes in, or what it is answered instead."""
        if not self._allows_origin(request):
            return forbidden_origin(request)
        position, types = _position(request), _types(request)
        if types is None:
            return malformed(request, "types: some of `taskflow.task.created`, `taskflow.task.*`.")
        if shown := request.headers.get_all("Authorization"):
            return self._by_header(request, shown, Entry(position=position, types=types), now)
        if tokens := _bearer_subprotocols(request):
            return self._by_subprotocol(tokens, Entry(position=position, types=types), now)
        return Entry(position=position, types=types)

    def _by_header(
        self, request: Request, shown: Sequence[str], asked: Entry, now: datetime
    ) -> Entry | Answer:
        scheme, _, token = shown[0].strip().partition(" ")
        if len(shown) > 1 or scheme.lower() != "bearer":
            return unauthenticated(request, "Send one header: Authorization: Bearer <token>.")
        try:
            return replace(asked, claims=self.key.check(token.strip(), now))
        except TokenError as error:
            return unauthenticated(request, str(error))

    def _by_subprotocol(self, tokens: Sequence[str], asked: Entry, now: datetime) -> Entry:
        if len(tokens) > 1:
            return Entry(refusal=Close.UNAUTHENTICATED)
        try:
            return replace(asked, claims=self.key.check(tokens[0], now))
        except TokenError as error:
            return Entry(refusal=refusal_of(error))

    def _allows_origin(self, request: Request) -> bool:
        origins = request.headers.get_all("Origin")
        if not origins:
            return True
        if len(origins) > 1:
            return False
        origin = origins[0].lower()
        hosts = request.headers.get_all("Host")
        own = len(hosts) == 1 and _is_own(origin, hosts[0].lower())
        return own or origin in {allowed.lower().rstrip("/") for allowed in self.origins}


def _is_own(origin: str, host: str) -> bool:
    """Compare an origin with the Host header, in which a scheme's own port may be left out."""
    try:
        parts = urlsplit(origin)
        default = _DEFAULT_PORTS.get(parts.scheme)
        named = urlsplit(f"//{host}")
        ours = (named.hostname, named.port or default)
        return default is not None and (parts.hostname, parts.port or default) == ours
    except ValueError:
        return False


def _position(request: Request) -> str | None:
    values = _query(request).get("position", [])
    return values[0] if values else None


def _types(request: Request) -> TypeFilter | None:
    """Read which types are asked for; None if they are not well formed."""
    named = [name for value in _query(request).get("types", []) for name in value.split(",")]
    try:
        return TYPE_FILTER.validate_python(named)
    except ValidationError:
        return None


def _query(request: Request) -> dict[str, list[str]]:
    return parse_qs(request.path.partition("?")[2])


def _bearer_subprotocols(request: Request) -> Sequence[str]:
    try:
        offered = [
            name
            for header in request.headers.get_all("Sec-WebSocket-Protocol")
            for name in parse_subprotocol(header)
        ]
    except InvalidHeader:
        return ()  # The library refuses the upgrade for it, with 400.
    return [name.removeprefix(BEARER_PREFIX) for name in offered if name.startswith(BEARER_PREFIX)]
