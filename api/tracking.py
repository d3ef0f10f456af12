"""Every request gets an id, is counted and timed, and never ends without an answer."""

import logging
import re
from time import perf_counter

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.ids import new_id
from schemas.problems import CONTENT_TYPE, Problem, ProblemBody
from streams.observability.metrics import HTTP_REQUESTS, HTTP_SECONDS

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

_log = logging.getLogger(__name__)


class Tracking:
    """The outermost layer: every answer shows the request's id, and is counted and timed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; other scopes pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began_at = perf_counter()
        request_id = _request_id(Headers(scope=scope).get("x-request-id"))
        scope["request_id"] = request_id
        status = 0

        async def send_tracked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_tracked)
        finally:
            _count(scope, status, perf_counter() - began_at)


class LastResort:
    """The innermost layer: what nobody else answered is a 500 that tells nothing but its id.

    Inside of the layer for browsers, which would hide an answer without that layer's headers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; an answer that has begun cannot be taken back, and is cut off."""
        begun = False

        async def send_noticed(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_noticed)
        except Exception:
            if scope["type"] != "http" or begun:
                raise
            request_id = scope["request_id"]
            _log.exception("request %s failed", request_id)
            await _send_internal_error(send, request_id)


def _request_id(given: str | None) -> str:
    return given if given and _REQUEST_ID.fullmatch(given) else str(new_id())


async def _send_internal_error(send: Send, request_id: str) -> None:
    problem = Problem.INTERNAL
    body = ProblemBody(
        type=problem.urn,
        title=problem.title,
        status=problem.status,
        detail="The request failed here; its id is in the log.",
        request_id=request_id,
    )
    headers = [(b"content-type", CONTENT_TYPE.encode())]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body.model_dump_json().encode()})


def _count(scope: Scope, status: int, seconds: float) -> None:
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = scope.get("route")
    path = getattr(route, "path", "unknown")
    HTTP_REQUESTS.labels(method, path, str(status)).inc()
    HTTP_SECONDS.labels(method, path).observe(seconds)
