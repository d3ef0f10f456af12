"""A connection does what its session decides: writes, joins the hub, and leaves it at the end."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never

from websockets.exceptions import ConnectionClosed

from gateway.feed import Feed
from gateway.hello import hello_frame, not_resumed_frame
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.moment import Moment
from gateway.protocol import Action, End, Send, SendPing, Session, Welcome
from gateway.wire import Wire
from schemas.frames import Close


@dataclass(slots=True, eq=False)
class Connection:
    """One websocket from its handshake to its end; it is a hub's `Listener`."""

    wire: Wire
    session: Session
    feed: Feed
    hub: Hub
    limits: Limits
    clock: Callable[[], Moment]
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)

    async def run(self) -> None:
        """Serve until the connection is closed, by either side; cancelled, it is cut off."""
        self.wire.heard = self._hear
        entry = self.wire.entry
        self.wire.forget_request()
        try:
            self._perform(self.session.enter(entry))
            while True:
                message = await self.wire.recv()
                self._perform(self.session.receive(message, self.clock()))
        except ConnectionClosed:
            pass
        finally:
            self._leave()
            self.wire.heard = None
            self.wire.cut_later()

    def deliver(self, frame: bytes) -> None:
        """Write an event frame, or close with 4000 if too much before it was not taken."""
        if self.wire.unsent_bytes > self.limits.unsent_bytes_max:
            self.end(Close.SLOW_CONSUMER)
        else:
            self.wire.write_text(frame)

    def end(self, close: Close) -> None:
        """Close the connection with a code, unless it is being closed already."""
        self._perform(self.session.end(close))

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send(frame):
                    self.deliver(frame)
                case SendPing():
                    self.wire.write_ping()
                case Welcome():
                    self._welcome(action)
                case End(close):
                    self._leave()
                    self.wire.write_close(close)
                case _:
                    assert_never(action)
        self._arm()

    def _welcome(self, welcome: Welcome) -> None:
        """Say hello and join, with nothing between them that waits, so that no event is missed."""
        user_id = welcome.claims.sub
        if self.hub.count_of(user_id) >= self.limits.connections_per_user:
            self.end(Close.TOO_MANY_CONNECTIONS)
        elif not self.feed.warm:
            self.end(Close.LOG_UNAVAILABLE)
        else:
            position = self.hub.seal.write(self.feed.latest_of(user_id), user_id)
            self.wire.write_text(hello_frame(user_id, position, self.limits.heartbeat_s))
            if welcome.position:
                self.wire.write_text(not_resumed_frame(position))
            self.hub.join(user_id, self)

    def _hear(self) -> None:
        if actions := self.session.hear(self.clock()):
            self._perform(actions)

    def _tick(self) -> None:
        self._timer = None
        self._perform(self.session.tick(self.clock()))

    def _arm(self) -> None:
        """Wake for what is due next; a timer that is early enough is left as it is."""
        if self.session.ended:
            return
        wait_s = self.session.wait_s(self.clock())
        loop = asyncio.get_running_loop()
        if self._timer:
            if self._timer.when() <= loop.time() + wait_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(wait_s, self._tick)

    def _leave(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self.session.claims:
            self.hub.leave(self.session.claims.sub, self)
