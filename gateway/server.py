"""The gateway's wiring: one server, one tail, one hub, and what each connection is given."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers

from gateway.admission import Admission, Quota
from gateway.connection import Connection
from gateway.feed import Feed
from gateway.handshake import Door
from gateway.hub import Hub
from gateway.limits import Limits
from gateway.moment import Moment
from gateway.protocol import Session
from gateway.resume import Resumer
from gateway.revocations import Revocations
from gateway.routes import Routes
from gateway.tail import TailReader
from gateway.wire import Wire
from schemas.addresses import Network, client_address
from schemas.frames import FRAME_BYTES_MAX, Close
from schemas.positions import PositionSeal
from schemas.settings import Settings
from schemas.tokens import TokenKey
from streams.observability.health import Health
from streams.observability.open_files import room_for_clients
from streams.transport.interface import Transport

WAITING_MIN = 100
"""Room for TCP connections that have asked for nothing yet, and for /health and /metrics."""

_WIRE_LOG = logging.getLogger("gateway.wire")
_WIRE_LOG.setLevel(logging.WARNING)
"""The library logs headers, and with them tokens, at DEBUG, and two lines a connection at INFO."""


class CannotListenError(RuntimeError):
    """The address is taken, or not one of this machine's; the message says which and why."""


@dataclass(slots=True)
class Gateway:
    """What all connections share."""

    key: TokenKey
    limits: Limits
    feed: Feed
    hub: Hub
    resumer: Resumer
    revocations: Revocations
    addresses: Quota
    admission: Admission
    trusted_proxies: Sequence[Network]
    clock: Callable[[], Moment]
    connections: set[Connection] = field(default_factory=set)

    async def serve_one(self, wire: ServerConnection) -> None:
        """Serve one upgraded connection to its end."""
        if not isinstance(wire, Wire):
            raise TypeError("the server was not told to make wires")
        address = self._address_of(wire)
        if not self.addresses.take(address):
            wire.write_close(Close.TOO_MANY_CONNECTIONS)
            await wire.wait_closed()
            return
        session = Session(self.key, self.limits, self.clock())
        connection = Connection(
            wire,
            session,
            self.feed,
            self.hub,
            self.resumer,
            self.revocations,
            self.limits,
            self.clock,
        )
        self.connections.add(connection)
        try:
            await connection.run()
        finally:
            self.connections.remove(connection)
            self.addresses.release(address)

    def _address_of(self, wire: Wire) -> str:
        headers = wire.request.headers if wire.request else Headers()
        forwarded = headers.get_all("X-Forwarded-For")
        return client_address(wire.address, forwarded, self.trusted_proxies)

    async def drain(self, server: Server) -> None:
        """Take no more connections, close all with 4001, and cut what is left when time is up."""
        server.close(close_connections=False)
        for connection in tuple(self.connections):
            connection.end(Close.SHUTTING_DOWN)
        try:
            async with asyncio.timeout(self.limits.shutdown_s_max):
                await server.wait_closed()
        except TimeoutError:
            for connection in tuple(self.connections):
                connection.wire.transport.abort()


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens."""

    port: int
    gateway: Gateway
    tail: TailReader


def limits_of(settings: Settings) -> Limits:
    """Give the limits, with those that an operator has set."""
    return Limits(
        connections_per_user=settings.websockets_per_user,
        connections_per_address=settings.websockets_per_address,
        connections_max=settings.websockets_max,
        sockets_max=settings.websockets_max + settings.websockets_max // 4 + WAITING_MIN,
        handshakes_per_s=settings.websocket_handshakes_per_s,
    )


def fitting(limits: Limits, room: int) -> Limits:
    """Give the limits, or lower ones where this machine has room for fewer sockets."""
    sockets = min(limits.sockets_max, room)
    most = max(1, min(limits.connections_max, sockets - WAITING_MIN))
    return replace(limits, sockets_max=sockets, connections_max=most)


@asynccontextmanager
async def open_gateway(
    settings: Settings,
    transport: Transport,
    limits: Limits | None = None,
    clock: Callable[[], Moment] = Moment.now,
) -> AsyncIterator[Running]:
    """Listen while the context is open; leaving it closes all clients with 4001, within a bound.

    `CannotListenError` is raised if the address is not to be had. If the tail ends with an error,
    the context's body is cancelled and the error raised in an `ExceptionGroup`.
    """
    wanted = limits or limits_of(settings)
    limits = fitting(wanted, room_for_clients(wanted.sockets_max))
    secret = settings.required_jwt_secret()
    feed = Feed(limits)
    gateway = Gateway(
        key=TokenKey(secret),
        limits=limits,
        feed=feed,
        hub=Hub(PositionSeal.from_secret(secret)),
        resumer=Resumer(transport, feed, limits),
        revocations=Revocations(limits.revocations_max),
        addresses=Quota(limits.connections_per_address),
        admission=Admission(limits, clock().ticks_s),
        trusted_proxies=settings.trusted_proxies,
        clock=clock,
    )
    tail = TailReader(transport, feed, gateway.hub, gateway.revocations, limits, clock)
    health = Health({"log": transport.check, "tail": tail.check})
    routes = Routes(Door(gateway.key, settings.cors_origins), health, gateway.admission, clock)
    server = await _listen(settings, gateway, routes)
    async with asyncio.TaskGroup() as tasks:
        searches = [gateway.resumer.run() for _ in range(limits.searches_at_a_time)]
        running = [tasks.create_task(work) for work in (tail.run(), *searches)]
        try:
            yield Running(server.sockets[0].getsockname()[1], gateway, tail)
        finally:
            await gateway.drain(server)
            for task in running:
                task.cancel()


async def _listen(settings: Settings, gateway: Gateway, routes: Routes) -> Server:
    host, port = settings.gateway_host, settings.gateway_port
    try:
        return await serve(
            gateway.serve_one,
            host,
            port,
            process_request=routes,
            process_response=routes.count,
            create_connection=partial(  # type: ignore[arg-type] # it only calls it
                Wire, sockets_max=gateway.limits.sockets_max
            ),
            server_header=None,
            compression="deflate" if settings.websocket_compression else None,
            open_timeout=gateway.limits.open_s_max,
            ping_interval=None,  # the session decides when to ping
            close_timeout=gateway.limits.close_s_max,
            max_size=FRAME_BYTES_MAX,
            write_limit=gateway.limits.unsent_bytes_max,
            logger=_WIRE_LOG,
        )
    except OSError as error:
        raise CannotListenError(
            f"The gateway cannot listen on {host}:{port}: {error.strerror}."
        ) from error
