"""How the API listens: HTTP/1.1 alone, and bytes that are none get a problem document too."""

import asyncio

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.app import make_app
from schemas.ids import new_id
from schemas.problems import CONTENT_TYPE, Problem, ProblemBody
from schemas.settings import Settings

HEAD_BYTES_MAX = 65_536
HEAD_S_MAX = 30.0
"""A request line and headers that are longer, or not there by then, are not waited for: neither
memory nor connections are kept for who sends little and slowly, or nothing at all."""
DRAIN_S_MAX = 10
"""How long requests that are being answered may take after SIGTERM."""


class Protocol(HttpToolsProtocol):
    """Uvicorn's own, but for limits on a request's head, and for what it says by itself."""

    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn
        """Wait for a head."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._have_head()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what came of a head that is not complete yet."""
        super().data_received(data)
        if self._head_timer and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.send_400_response(f"A request's head has at most {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """Wait for the head of this request."""
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        """Have the head, and wait no more."""
        self._have_head()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        if self._head_timer is None:
            self._head_bytes = 0
            self._head_timer = self.loop.call_later(HEAD_S_MAX, self.transport.close)

    def _have_head(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

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
