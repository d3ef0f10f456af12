"""A connection does what its session decides: writes, joins the hub, and leaves it at the end."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import assert_never
from uuid import UUID

from websockets.exceptions import ConnectionClosed

from gateway.arrivals import Arrival
from gateway.feed import Feed
from gateway.hello import hello_frame, not_recovered_frame, recovered_frame
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.moment import Moment
from gateway.protocol import Action, End, Renew, Send, SendPing, Session, Welcome
from gateway.resume import Resumer
from gateway.revocations import Revocations
from gateway.search import Reason
from gateway.wire import Wire
from schemas.frames import Close
from schemas.positions import Position, PositionError
from streams.observability.metrics import FRAMES_SENT
from streams.transport.interface import TransportError

_log = logging.getLogger(__name__)

_READS_MAX = 5
"""Who needs the log more often before it is at the end takes events more slowly than they come."""


@dataclass(slots=True, eq=False)
class Connection:
    """One websocket from its handshake to its end; it is a hub's `Listener`."""

    wire: Wire
    session: Session
    feed: Feed
    hub: Hub
    resumer: Resumer
    revocations: Revocations
    limits: Limits
    clock: Callable[[], Moment]
    _live: bool = field(default=False, init=False)
    """Whether arrivals are written as they come; a client that resumes is not there yet."""
    _timer: asyncio.TimerHandle | None = field(default=None, init=False)
    _resuming: "asyncio.Task[None] | None" = field(default=None, init=False)

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
            if self._resuming:
                await asyncio.wait({self._resuming})

    @property
    def session_id(self) -> UUID | None:
        """The session of the client's token."""
        return self.session.claims.sid if self.session.claims else None

    def deliver(self, event_type: str, frame: bytes) -> None:
        """Write an event frame, unless the client asked for other types or has not come so far."""
        if self._live and self.session.wants(event_type):
            FRAMES_SENT.inc()
            self._write(frame)

    def end(self, close: Close) -> None:
        """Close the connection with a code, unless it is being closed already."""
        self._perform(self.session.end(close))

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            match action:
                case Send(frame):
                    self._write(frame)
                case SendPing():
                    self.wire.write_ping()
                case Welcome():
                    self._welcome(action)
                case Renew(claims):
                    if self.revocations.cover(claims, self.clock().at):
                        self.end(Close.REVOKED)
                case End(close):
                    self._leave()
                    self.wire.write_close(close)
                case _:
                    assert_never(action)
        self._arm()

    def _write(self, frame: bytes) -> None:
        """Write a frame, or close with 4000 if too much before it was not taken."""
        if self.wire.unsent_bytes > self.limits.unsent_bytes_max:
            self.end(Close.SLOW_CONSUMER)
        else:
            self.wire.write_text(frame)

    def _welcome(self, welcome: Welcome) -> None:
        """Say hello and join, with nothing between them that waits, so that no event is missed."""
        user_id = welcome.claims.sub
        if self.hub.count_of(user_id) >= self.limits.connections_per_user:
            self.end(Close.TOO_MANY_CONNECTIONS)
        elif not self.feed.warm:
            self.end(Close.LOG_UNAVAILABLE)
        elif self.revocations.cover(welcome.claims, self.clock().at):
            self.end(Close.REVOKED)
        else:
            self.hub.join(user_id, self)
            self._say_hello(user_id, welcome.position)

    def _say_hello(self, user_id: UUID, text: str | None) -> None:
        position = self._position(user_id, text)
        said = text if position and text else self._end_of_log(user_id)
        self.wire.write_text(hello_frame(user_id, said, self.limits.heartbeat_s))
        if position:
            self._resuming = asyncio.create_task(self._resume(user_id, position))
            self._resuming.add_done_callback(self._end_of_resume)
        elif text:
            self._go_live(not_recovered_frame(said, Reason.UNKNOWN))
        else:
            self._live = True

    def _position(self, user_id: UUID, text: str | None) -> Position | None:
        """Read the position that the client brought; None if it brought none of its own."""
        try:
            return self.hub.seal.read(text, user_id) if text else None
        except PositionError:
            return None

    def _end_of_log(self, user_id: UUID) -> str:
        return self.hub.seal.write(self.feed.latest_of(user_id), user_id)

    def _go_live(self, resumed: bytes) -> None:
        self._write(resumed)
        self._live = True

    async def _resume(self, user_id: UUID, position: Position) -> None:
        """Write what was missed, then what has come meanwhile, until there is no more of it.

        While the log is read memory goes on, and may let go of what comes next: then it is read
        again, from there.
        """
        try:
            for _ in range(_READS_MAX):
                missed = await self.resumer.missed(user_id, position)
                if isinstance(missed, Reason):
                    self._go_live(not_recovered_frame(self._end_of_log(user_id), missed))
                    return
                if missed.arrivals:
                    position = await self._write_all(missed.arrivals)
                position = await self._catch_up(user_id, position, missed.read_to)
                if self._live:
                    return
            self.end(Close.SLOW_CONSUMER)
        except TransportError as error:
            _log.warning("a client could not resume: %s", error)
            self.end(Close.LOG_UNAVAILABLE)
        except TimeoutError:
            self.end(Close.SLOW_CONSUMER)

    def _end_of_resume(self, resuming: "asyncio.Task[None]") -> None:
        """Let no client wait for a resume that has failed in a way that nobody thought of."""
        if not resuming.cancelled() and (error := resuming.exception()):
            _log.error("a resume failed", exc_info=error)
            self.end(Close.LOG_UNAVAILABLE)

    async def _catch_up(self, user_id: UUID, position: Position, offset: int) -> Position:
        """Go live at the moment at which memory has nothing more behind an offset.

        A client that is not live then has to be given what is behind the position from the log.
        """
        history = self.feed.lane_of(user_id).history
        while recent := history.recent_after(user_id, offset):
            position = await self._write_all(recent)
            offset = position.offset
        if recent is not None:
            self._go_live(recovered_frame(self.hub.seal.write(position, user_id)))
        return position

    async def _write_all(self, arrivals: Sequence[Arrival]) -> Position:
        """Write events as fast as the client takes them, and give the last one's position."""
        for arrival in arrivals:
            if not self.session.wants(arrival.type):
                continue
            FRAMES_SENT.inc()
            self.wire.write_text(self.hub.frame_of(arrival))
            if self.wire.unsent_bytes > self.limits.unsent_bytes_max:
                async with asyncio.timeout(self.limits.resume_s_max):
                    await self.wire.drain()
        return arrivals[-1].position

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
        if self._resuming:
            self._resuming.cancel()
        if self.session.claims:
            self.hub.leave(self.session.claims.sub, self)
