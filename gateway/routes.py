"""Where a request goes: the upgrade at /ws, and what machines ask over plain HTTP."""

from dataclasses import dataclass
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from gateway.answers import JSON, Answer, method_not_allowed, not_found
from gateway.handshake import Door
from gateway.moment import Moment
from gateway.protocol import Entry
from gateway.wire import Wire
from streams.observability import metrics
from streams.observability.health import LIVE, Health

WEBSOCKET_PATH = "/ws"
_PATHS = frozenset({WEBSOCKET_PATH, "/health/live", "/health/ready", "/metrics"})


@dataclass(frozen=True, slots=True)
class Routes:
    """The `process_request` of the server: None lets the upgrade go on."""

    door: Door
    health: Health

    async def __call__(self, wire: ServerConnection, request: Request) -> Response | None:
        """Answer a request, or leave on the wire how it came in."""
        outcome = await self._route(request)
        if isinstance(outcome, Answer):
            return outcome.response()
        if not isinstance(wire, Wire):
            raise TypeError("the server was not told to make wires")
        wire.entry = outcome
        return None

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
                return self.door.decide(request, Moment.now().at)
