"""How the API listens: HTTP/1.1 alone, and bytes that are none get a problem document too."""

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.app import make_app
from schemas.ids import new_id
from schemas.problems import CONTENT_TYPE, Problem, ProblemBody
from schemas.settings import Settings

DRAIN_S_MAX = 10
"""How long requests that are being answered may take after SIGTERM."""


class Protocol(HttpToolsProtocol):
    """Uvicorn's own, but for what it says by itself."""

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request, and close: where the next one begins is unknown."""
        request_id = str(new_id())
        problem = Problem.MALFORMED
        body = ProblemBody(
            type=problem.urn,
            title=problem.title,
            status=problem.status,
            detail=msg,
            request_id=request_id,
        ).model_dump_json()
        head = (
            "HTTP/1.1 400 Bad Request",
            f"content-type: {CONTENT_TYPE}",
            f"content-length: {len(body.encode())}",
            f"x-request-id: {request_id}",
            "connection: close",
        )
        self.transport.write("\r\n".join((*head, "", body)).encode())
        self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a request to upgrade is answered as if it asked for none."""


def make_server(settings: Settings) -> uvicorn.Server:
    """Make the server of the API; it listens when it is run."""
    config = uvicorn.Config(
        make_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        http=Protocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S_MAX,
    )
    return uvicorn.Server(config)
