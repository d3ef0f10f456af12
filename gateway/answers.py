"""Plain HTTP answers of the gateway: problems, health, metrics."""

import re
from dataclasses import dataclass
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from schemas import codec
from schemas.ids import new_id
from schemas.problems import CONTENT_TYPE, Problem, ProblemBody

JSON = "application/json"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered instead of an upgrade; the connection is closed after it."""

    status: HTTPStatus
    content_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()

    def response(self) -> Response:
        """Give it as the websockets library writes it."""
        headers = Headers(
            [
                ("Content-Type", self.content_type),
                ("Content-Length", str(len(self.body))),
                ("Connection", "close"),
                *self.headers,
            ]
        )
        return Response(self.status.value, self.status.phrase, headers, self.body)


def unauthenticated(request: Request, detail: str) -> Answer:
    """Answer 401, with the challenge that RFC 6750 asks for."""
    challenge = (("WWW-Authenticate", "Bearer"),)
    return _problem(request, Problem.UNAUTHENTICATED, detail, challenge)


def malformed(request: Request, detail: str) -> Answer:
    """Answer 400."""
    return _problem(request, Problem.MALFORMED, detail)


def not_found(request: Request) -> Answer:
    """Answer 404."""
    return _problem(request, Problem.NOT_FOUND, "The gateway serves /ws, /health/* and /metrics.")


def method_not_allowed(request: Request) -> Answer:
    """Answer 405; everything here is read with GET."""
    return _problem(request, Problem.METHOD_NOT_ALLOWED, "Use GET.", (("Allow", "GET"),))


def too_many_handshakes(request: Request) -> Answer:
    """Answer 429; of any rate that can be set, a second brings the next turn."""
    detail = "Too many clients come at once. Wait a random time of some seconds."
    return _problem(request, Problem.RATE_LIMITED, detail, (("Retry-After", "1"),))


def full(request: Request, retry_s: int) -> Answer:
    """Answer 503: every place is taken."""
    detail = "The gateway holds as many connections as it may. Wait, or ask another one."
    return _problem(request, Problem.UNAVAILABLE, detail, (("Retry-After", str(retry_s)),))


def forbidden_origin(request: Request) -> Answer:
    """Answer 403."""
    return _answer(
        request,
        "urn:taskflow:problem:forbidden-origin",
        HTTPStatus.FORBIDDEN,
        "The origin is not allowed",
        "Add the page's origin to CORS_ORIGINS to let it open a websocket here.",
    )


def _problem(
    request: Request, problem: Problem, detail: str, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    return _answer(request, problem.urn, HTTPStatus(problem.status), problem.title, detail, headers)


def _answer(
    request: Request,
    urn: str,
    status: HTTPStatus,
    title: str,
    detail: str,
    headers: tuple[tuple[str, str], ...] = (),
) -> Answer:
    request_id = _request_id(request)
    body = ProblemBody(
        type=urn, title=title, status=status.value, detail=detail, request_id=request_id
    )
    return Answer(
        status,
        CONTENT_TYPE,
        codec.encode(body.model_dump(mode="json")),
        (("X-Request-ID", request_id), *headers),
    )


def _request_id(request: Request) -> str:
    given = request.headers.get_all("X-Request-ID")
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0]
    return str(new_id())
