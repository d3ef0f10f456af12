"""Browsers of other origins: who may call (CORS), with what, and what their scripts may see."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import answer_problem
from schemas.problems import Problem, ProblemError

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SENT = (
    "Authorization",
    "Content-Type",
    "If-Match",
    "If-None-Match",
    "X-Request-ID",
    "traceparent",
)
_SHOWN = ("ETag", "Location", "X-Request-ID", "Retry-After")


class Browsers(CORSMiddleware):
    """Starlette's CORS layer, which tells a refused preflight in a problem document too."""

    def __init__(self, app: ASGIApp, origins: Collection[str]) -> None:
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=_SENT,
            expose_headers=_SHOWN,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight that is refused; all else is as the library does it."""
        if scope["type"] == "http" and _is_preflight(scope):
            response = self.preflight_response(Headers(scope=scope))
            if response.status_code != 200:  # noqa: PLR2004 - what the library answers if all is well
                detail = f"{bytes(response.body).decode()}."
                problem = ProblemError(Problem.MALFORMED, detail, headers={"Vary": "Origin"})
                refusal = await answer_problem(Request(scope), problem)
                await refusal(scope, receive, send)
                return
        await super().__call__(scope, receive, send)


def _is_preflight(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    asks = "origin" in headers and "access-control-request-method" in headers
    return bool(scope["method"] == "OPTIONS") and asks
