"""The wire: the websockets library's connection, with writes that never wait.

The library's own `send` waits for a slow client, and its `close` may wait for ever behind a full
buffer. Here the socket's write buffer is the client's queue: writing only adds to it, its size can
be asked for, and what is closed is gone after `close_timeout`, whatever the client does.
"""

from asyncio import TimerHandle
from collections.abc import Callable, Sequence
from typing import Any

from websockets.asyncio.connection import broadcast
from websockets.asyncio.server import Server, ServerConnection
from websockets.datastructures import Headers
from websockets.frames import CloseCode
from websockets.http11 import Request
from websockets.protocol import CLOSED, OPEN, Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from gateway.protocol import Entry
from schemas.frames import PROTOCOL, Close
from streams.observability.metrics import CLOSES

_FORGOTTEN = Request("/ws", Headers())


class WireProtocol(ServerProtocol):
    """RFC 6455 as the library has it, but for two answers that the contract words otherwise."""

    def select_subprotocol(self, subprotocols: Sequence[Subprotocol]) -> Subprotocol | None:
        """Pick `taskflow.v1` if it is offered, and nothing otherwise."""
        return Subprotocol(PROTOCOL) if PROTOCOL in subprotocols else None

    def fail(self, code: CloseCode | int, reason: str = "") -> None:
        """Fail as the library does, with 4103 where it has 1009."""
        if code == CloseCode.MESSAGE_TOO_BIG:
            code, reason = Close.FRAME_TOO_LARGE.code, Close.FRAME_TOO_LARGE.reason
            CLOSES.labels(reason).inc()
        super().fail(code, reason)


class Wire(ServerConnection):
    """One websocket. `heard` is called for each frame that comes in, pongs and fragments too."""

    entry: Entry = Entry()
    heard: Callable[[], None] | None = None
    _cut: TimerHandle | None = None

    def __init__(self, protocol: ServerProtocol, server: Server, **options: Any) -> None:
        """Speak `WireProtocol` in place of the library's own; `Any` is how the library passes on.

        `protocol` is what the library made: its size limit and logger are kept.
        """
        spoken = WireProtocol(max_size=protocol.max_message_size, logger=protocol.logger)
        super().__init__(spoken, server, **options)

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
        if self._cut is None and self.protocol.state is not CLOSED:
            self._cut = self.loop.call_later(self.close_timeout or 0.0, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        """Read as the library does, which waits without a bound for a TCP connection's end."""
        super().data_received(data)
        if self.protocol.close_expected():
            self.cut_later()

    def connection_lost(self, exc: Exception | None) -> None:
        """Clean up as the library does, and wait for no cut."""
        super().connection_lost(exc)
        if self._cut:
            self._cut.cancel()
