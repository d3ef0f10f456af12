"""Where a request goes: the upgrade at /ws, and what machines ask over plain HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from gateway.admission import Admission
from gateway.answers import (
    JSON,
    Answer,
    full,
    method_not_allowed,
    not_found,
    too_many_handshakes,
)
from gateway.handshake import Door
from gateway.moment import Moment
from gateway.protocol import Entry
from gateway.wire import Wire
from streams.observability import metrics
from streams.observability.health import LIVE, Health

WEBSOCKET_PATH = "/ws"
_UPGRADED = HTTPStatus.SWITCHING_PROTOCOLS.value
_PATHS = frozenset({WEBSOCKET_PATH, "/health/live", "/health/ready", "/metrics"})
UPGRADE_REFUSALS: Mapping[int, str] = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden_origin",
    405: "method_not_allowed",
    426: "no_upgrade",
    429: "rate_limited",
    503: "unavailable",
}
"""Why an upgrade was refused, for the metric: a label of few values."""


@dataclass(frozen=True, slots=True)
class Routes:
    """The `process_request` of the server: None lets the upgrade go on."""

    door: Door
    health: Health
    admission: Admission
    clock: Callable[[], Moment]

    async def __call__(self, wire: ServerConnection, request: Request) -> Response | None:
        """Answer a request, or leave on the wire how it came in."""
        outcome = await self._route(request)
        if isinstance(outcome, Answer):
            return outcome.response()
        if not isinstance(wire, Wire):
            raise TypeError("the server was not told to make wires")
        if not self.admission.take_place():
            return full(request, self.admission.limits.full_retry_s).response()
        # Whatever becomes of the upgrade: called soon if the client is gone already.
        wire.connection_lost_waiter.add_done_callback(lambda _: self.admission.leave_place())
        wire.entry = outcome
        return None

    def count(self, _wire: ServerConnection, request: Request, response: Response) -> None:
        """Count a refused upgrade, be it ours or the library's; the server's `process_response`."""
        status = response.status_code
        if request.path.partition("?")[0] == WEBSOCKET_PATH and status != _UPGRADED:
            metrics.REFUSALS.labels(UPGRADE_REFUSALS.get(status, "other")).inc()

    async def _route(self, request: Request) -> Answer | Entry:
        path = request.path.partition("?")[0]
        if path not in _PATHS:
            return not_found(request)
        if request.method != "GET":
            return method_not_allowed(request)
        match path:
            case "/health/live":
                return Answer(HTTPStatus.OK, JSON, LIVE)
            case "/health/ready":
                well, body = await self.health.ready()
                status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
                return Answer(status, JSON, body)
            case "/metrics":
                return Answer(HTTPStatus.OK, metrics.CONTENT_TYPE, metrics.render())
            case _:
                return self._upgrade(request, self.clock())

    def _upgrade(self, request: Request, now: Moment) -> Answer | Entry:
        if not self.admission.take_turn(now.ticks_s):
            return too_many_handshakes(request)
        return self.door.decide(request, now.at)
