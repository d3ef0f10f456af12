"""HTTP/1.1 as uvicorn speaks it, with a limit on all that a client may owe or send."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from api.crowd import Crowd
from schemas.ids import new_id
from schemas.problems import CONTENT_TYPE, Problem, ProblemBody

HEAD_BYTES_MAX = 65_536
HEAD_S_MAX = 30.0
"""A request line and headers that are longer, or not there by then, are not waited for: neither
memory nor connections are kept for who sends little and slowly, or nothing at all."""
TRAILER_BYTES_MAX = 8_192
"""Header lines behind a chunked body. Nothing here reads them, so they are counted and dropped."""
PIPELINE_MAX = 50
"""Requests that may wait on one connection behind the one that is being answered. At the limit they
are answered, and the connection is closed."""
UNREAD_S_MAX = 1.0
"""How long the rest of a body may take when the request is answered already."""
UNTAKEN_S_MAX = 30.0
"""How long a client may take nothing of an answer that waits to be sent."""


class _Stage(Enum):
    """What the parser reads now."""

    HEAD = auto()
    BODY = auto()
    NOTHING = auto()


class LimitError(Exception):
    """A client sends more than there may be; ends the parsing."""


class Protocol(HttpToolsProtocol):
    """Uvicorn's own, but for limits, and for what it says by itself.

    A timer runs while the client owes a head, or the rest of a body that nobody reads, and another
    one while it does not take an answer. A body that is read has its limits where it is read.
    """

    _stage = _Stage.NOTHING
    _head_bytes = 0
    _trailer_bytes = 0
    _owed: asyncio.TimerHandle | None = None
    _untaken: asyncio.TimerHandle | None = None

    def __init__(self, crowd: Crowd, **options: Any) -> None:
        """Take a place in the crowd when it is connected; `Any` is how uvicorn passes its own."""
        super().__init__(**options)
        self._crowd = crowd

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # uvicorn
        """Wait for a head, if there is room."""
        super().connection_made(transport)
        if self._crowd.enter(self):
            self._expect_head()
        else:
            self._answer(Problem.UNAVAILABLE, "All connections are in use.", "retry-after: 1")

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more, and leave the place."""
        self._crowd.leave(self)
        _stop(self._owed)
        _stop(self._untaken)
        super().connection_lost(exc)

    def make_room(self) -> None:
        """End at once: somebody else needs the place, and this client owes something."""
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Count what came of a head that is not complete yet, and end what begins no request."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._stage is _Stage.NOTHING and self._is_idle and not self.transport.is_closing():
            # The parser reads nothing more, or line ends: no timer would run for this client.
            self._close()
        if self._stage is _Stage.HEAD and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES_MAX:
                self.send_400_response(f"A request's head has at most {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """Wait for the head of this request."""
        super().on_message_begin()
        self._expect_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header line of the head; one behind the body is dropped (RFC 9110, 6.5.1)."""
        if self._stage is _Stage.HEAD:
            super().on_header(name, value)
            return
        self._trailer_bytes += len(name) + len(value)
        if self._trailer_bytes > TRAILER_BYTES_MAX:
            raise LimitError

    def on_headers_complete(self) -> None:
        """Have the head, and wait no more for it."""
        if len(self.pipeline) >= PIPELINE_MAX:
            raise LimitError
        _stop(self._owed)
        self._stage = _Stage.BODY
        self._trailer_bytes = 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Have the whole request: from now on the client waits for us."""
        self._stage = _Stage.NOTHING
        _stop(self._owed)
        if not self.cycle.response_complete:
            self._crowd.work(self)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Wait for the next request, and not for long for the rest of this one."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._crowd.wait(self)
            if self.transport.is_closing():
                self._await_taking()
            elif self._stage is _Stage.BODY:
                self._owed = self._after(self._owed, UNREAD_S_MAX, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which no next request has come."""
        self._close()

    def pause_writing(self) -> None:
        """Wait for the client to take what was answered, and not without a limit."""
        super().pause_writing()
        self._crowd.wait(self)
        self._await_taking()

    def resume_writing(self) -> None:
        """Go on: the client has taken it."""
        super().resume_writing()
        if not self.transport.is_closing():
            _stop(self._untaken)
        if not self._is_idle:
            self._crowd.work(self)

    def send_400_response(self, msg: str) -> None:
        """Answer bytes that are no request, and close: where the next one begins is unknown.

        Behind a request that is still being answered nothing is said, since it would be taken for
        that one's answer: the connection is closed after it, and after those that wait behind it.
        """
        answering = not self._is_idle
        if answering and (self._stage is _Stage.HEAD or self.pipeline):
            self.cycle.keep_alive = False
            self.flow.pause_reading()
            _stop(self._owed)
        elif answering and self.cycle.response_started:
            self.transport.abort()
        else:
            self._answer(Problem.MALFORMED, msg)

    @property
    def _is_idle(self) -> bool:
        """Whether all requests so far are answered; before the first there is no cycle."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _answer(self, problem: Problem, detail: str, *headers: str) -> None:
        request_id = str(new_id())
        body = ProblemBody(
            type=problem.urn,
            title=problem.title,
            status=problem.status,
            detail=detail,
            request_id=request_id,
        ).model_dump_json()
        reason = {400: "Bad Request", 503: "Service Unavailable"}[problem.status]
        head = (
            f"HTTP/1.1 {problem.status} {reason}",
            f"content-type: {CONTENT_TYPE}",
            f"content-length: {len(body.encode())}",
            f"x-request-id: {request_id}",
            "connection: close",
            *headers,
        )
        self.transport.write("\r\n".join((*head, "", body)).encode())
        self._close()

    def _expect_head(self) -> None:
        if self._stage is not _Stage.HEAD:
            self._stage = _Stage.HEAD
            self._head_bytes = 0
            self._owed = self._after(self._owed, HEAD_S_MAX, self._close)

    def _close(self) -> None:
        """Close when all is sent, and when the client does not take it, without."""
        self.transport.close()
        self._await_taking()

    def _await_taking(self) -> None:
        self._untaken = self._after(self._untaken, UNTAKEN_S_MAX, self.transport.abort)

    def _after(
        self, running: asyncio.TimerHandle | None, seconds: float, end: Callable[[], None]
    ) -> asyncio.TimerHandle:
        _stop(running)
        return self.loop.call_later(seconds, end)

    def _unsupported_upgrade_warning(self) -> None:
        """Say nothing: a request to upgrade is answered as if it asked for none."""


def _stop(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
