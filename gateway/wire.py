"""The wire: the websockets library's connection, with writes that never wait.

The library's own `send` waits for a slow client, and its `close` may wait for ever behind a full
buffer. Here the socket's write buffer is the client's queue: writing only adds to it, its size can
be asked for, and what is closed is gone after `close_timeout`, whatever the client does.
"""

from asyncio import BaseTransport, TimerHandle
from collections.abc import Callable, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader, PayloadTooBig
from websockets.frames import CLOSE, CONT, CloseCode, Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, SEND_EOF, Event
from websockets.server import ServerProtocol
from websockets.typing import LoggerLike, Subprotocol

from gateway.protocol import Entry
from schemas.frames import FRAME_BYTES_MAX, PROTOCOL, Close
from streams.observability.metrics import CLOSES

_FORGOTTEN = Request("/ws", Headers())


class WireProtocol(ServerProtocol):
    """RFC 6455 as the library has it, but for what the contract words otherwise, or the RFC does.

    Messages are of at most `message_bytes_max`, in however many fragments.
    """

    def __init__(self, message_bytes_max: int, logger: LoggerLike) -> None:
        """Leave frames to the library's limit; `recv_frame` has the one for messages."""
        self.message_bytes_max = message_bytes_max
        super().__init__(max_size=(None, message_bytes_max), logger=logger)

    def process_request(self, request: Request) -> tuple[str, str | None, str | None]:
        """Check a request as the library does, and its Host, which it leaves to others."""
        if len(request.headers.get_all("Host")) != 1:
            raise InvalidHeader("Host")
        return super().process_request(request)

    def accept(self, request: Request) -> Response:
        """Answer as the library does; who is refused is told our version (section 4.4).

        And which header is wrong, but not its value, as the library does: it may hold a token, and
        what is answered may be kept by whoever stands between.
        """
        response = super().accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            response.headers["Sec-WebSocket-Version"] = "13"
            response.body = f"Failed to open a WebSocket connection{_fault(self)}.\n".encode()
            del response.headers["Content-Length"]
            response.headers["Content-Length"] = str(len(response.body))
        return response

    def recv_frame(self, frame: Frame) -> None:
        """Take a frame as the library does, but for control frames between fragments (section 5.4).

        The library counts those against the message's limit, and fails for a close there.
        """
        if frame.opcode is CONT and self.current_size is not None:
            size = self.current_size + len(frame.data)
            if size > self.message_bytes_max:
                raise PayloadTooBig(size, self.message_bytes_max)
        elif frame.opcode is CLOSE:
            self.current_size = None  # The rest of the message will not come.
        super().recv_frame(frame)

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Pick `taskflow.v1` if it is offered, and nothing otherwise."""
        return Subprotocol(PROTOCOL) if PROTOCOL in subprotocols else None

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail as the library does, with 4103 where it has 1009."""
        if code == CloseCode.MESSAGE_TOO_BIG:
            code, reason = Close.FRAME_TOO_LARGE.code, Close.FRAME_TOO_LARGE.reason
            CLOSES.labels(reason).inc()
        super().fail(code, reason)


def _fault(protocol: ServerProtocol) -> str:
    error = protocol.handshake_exc
    return f": the header {error.name} is not valid" if isinstance(error, InvalidHeader) else ""


class Wire(ServerConnection):
    """One websocket. `heard` is called for each frame that comes in, pongs and fragments too."""

    entry: Entry = Entry()
    heard: Callable[[], None] | None = None
    _cut: TimerHandle | None = None

    def __init__(
        self, protocol: ServerProtocol, server: Server, *, sockets_max: int, **options: Any
    ) -> None:
        """Speak `WireProtocol` in place of the library's own; `Any` is how the library passes on.

        `protocol` is what the library made: its extensions, size limit and logger stay. With over
        `sockets_max` connections, a new one is cut.
        """
        self._sockets_max = sockets_max
        limit = protocol.max_message_size or FRAME_BYTES_MAX
        spoken = WireProtocol(limit, protocol.logger)
        spoken.available_extensions = protocol.available_extensions
        super().__init__(spoken, server, **options)

    def connection_made(self, transport: BaseTransport) -> None:
        """Begin as the library does, if there is room."""
        super().connection_made(transport)
        if len(self.server.handler_tasks) > self._sockets_max:
            self.transport.abort()

    @property
    def address(self) -> str:
        """The client's address, without its port."""
        name = self.remote_address
        return str(name[0]) if name else ""

    @property
    def unsent_bytes(self) -> int:
        """What the client has not taken yet, the kernel's own buffers not counted."""
        return self.transport.get_write_buffer_size()

    def forget_request(self) -> None:
        """Let go of the handshake's headers: some KiB, and the token among them."""
        self.request, self.response, self.entry = _FORGOTTEN, None, Entry()

    def process_event(self, event: Event) -> None:
        """Take an incoming frame, and tell whoever listens."""
        super().process_event(event)
        if self.heard:
            self.heard()

    def write_text(self, frame: bytes) -> None:
        """Add a text frame to what is to be sent; on a closed connection, do nothing."""
        broadcast((self,), frame, text=True)

    def write_ping(self) -> None:
        """Add a ping frame; any frame that comes back counts as its answer."""
        if self.protocol.state is OPEN:
            self.protocol.send_ping(b"")
            self.send_data()

    def write_close(self, close: Close) -> None:
        """Add a close frame, and cut the connection if it is not closed in time."""
        if self.protocol.state is OPEN:
            CLOSES.labels(close.reason).inc()
            self.protocol.send_close(close.code, close.reason)
            self.send_data()
        self.cut_later()

    def cut_later(self) -> None:
        """Cut the connection if it is not closed in `close_timeout`, which serve() was given."""
        if self._cut is None and not self.connection_lost_waiter.done():
            self._cut = self.loop.call_later(self.close_timeout or 0.0, self.transport.abort)

    def send_data(self) -> None:
        """Send as the library does, but in one write, and bound the wait for the connection's end.

        For each write to a connection that is lost asyncio logs a line, and a client may have asked
        for thousands of pongs before it went.
        """
        writes = self.protocol.data_to_send()
        if not self.transport.is_closing():
            if data := b"".join(writes):
                self.transport.write(data)
            if SEND_EOF in writes:
                with suppress(OSError):  # The client has gone meanwhile.
                    self.transport.write_eof()
        if self.protocol.close_expected():
            self.cut_later()

    def eof_received(self) -> None:
        """Close as the library does, which waits without a bound for what was not taken yet."""
        super().eof_received()
        self.cut_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up as the library does, wait for no cut, and leave the collector nothing to do.

        The library's parser holds its protocol, which holds it, and so does the parser's error.
        """
        super().connection_lost(exc)
        if self._cut:
            self._cut.cancel()
        self.protocol.parser.close()
        if error := self.protocol.parser_exc:
            error.__traceback__ = None
