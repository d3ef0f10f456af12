"""`python -m tests.benchmarks.gateway.swarm` holds many clients, and does what its input says.

Each line in is a command, as JSON: its name and arguments. Each line out is its answer.
"""

import asyncio
import socket
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic
from typing import Any
from uuid import UUID

import uvloop

from schemas import codec
from schemas.ids import new_id
from schemas.tokens import TokenKey
from tests.benchmarks.gateway.raw_client import RawClient

CONNECTING_MAX = 200
SETTLE_S_MAX = 60.0
RECEIVE_BYTES = 131_072


@dataclass(slots=True)
class Swarm:
    """The clients of one process. Each of the methods without an underscore is a command."""

    clients: list[RawClient] = field(default_factory=list)
    _connecting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def make(self, users: list[str], secret: str) -> int:
        """Make a client for each user; they are not connected yet."""
        key, now = TokenKey(secret), datetime.now(UTC)
        self.clients = [RawClient(user, key.issue(UUID(user), new_id(), now)) for user in users]
        return len(self.clients)

    async def connect(
        self, port: int, within_s: float, first: int = 0, last: int | None = None
    ) -> dict[str, object]:
        """Connect some clients, evenly spread over a time; give how long each took, in seconds.

        Within no time they come as fast as the gateway takes them, some at a time.
        """
        chosen = self.clients[first:last]
        self._connecting = asyncio.Semaphore(len(chosen) if within_s else CONNECTING_MAX)
        began_at = monotonic()
        dues = [began_at + within_s * index / len(chosen) for index in range(len(chosen))]
        took = await asyncio.gather(
            *(self._connect(client, port, due) for client, due in zip(chosen, dues, strict=True))
        )
        return {
            "took_s": [seconds for seconds in took if seconds is not None],
            "failed": [
                client.close_code for client, s in zip(chosen, took, strict=True) if s is None
            ],
            "all_s": monotonic() - began_at,
        }

    async def pause(self, index: int) -> None:
        """Let a client read nothing more."""
        transport = self.clients[index].transport
        if transport:
            transport.pause_reading()

    async def go_on(self, index: int) -> None:
        """Let it read again."""
        transport = self.clients[index].transport
        if transport:
            transport.resume_reading()

    async def is_connected(self, index: int) -> bool:
        """Tell whether a client has its connection, as far as it knows."""
        return self.clients[index].connected

    async def count(self) -> int:
        """Give how many events have come."""
        return sum(len(client.events) for client in self.clients)

    async def report(self) -> list[dict[str, object]]:
        """Give what became of each client since the last report."""
        found: list[dict[str, object]] = [
            {
                "user": client.user,
                "connected": client.connected,
                "recovered": client.recovered,
                "close_code": client.close_code,
                "events": client.events,
            }
            for client in self.clients
        ]
        for client in self.clients:
            client.events = []
        return found

    async def disconnect(self) -> None:
        """Cut all connections off."""
        for client in self.clients:
            if client.transport:
                client.transport.abort()

    async def _connect(self, client: RawClient, port: int, due: float) -> float | None:
        """Give the seconds until it is settled, from when it was due; None if it was not let in."""
        await asyncio.sleep(max(0.0, due - monotonic()))
        loop = asyncio.get_running_loop()
        settled: asyncio.Future[bool] = loop.create_future()
        async with self._connecting:
            due = max(due, monotonic()) if self._connecting.locked() else due
            client.begin(settled.set_result)
            try:
                async with asyncio.timeout(SETTLE_S_MAX):
                    await loop.create_connection(lambda: client, sock=await _connected(port))
                    return monotonic() - due if await settled else None
            except (OSError, TimeoutError):
                return None


async def _connected(port: int) -> socket.socket:
    """Open a socket whose receive buffer stays small, so that a client that stops reading is slow.

    Left alone, Linux lets it grow to 32 MiB.
    """
    opened = socket.socket()
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
    await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", port))
    return opened


async def main() -> None:
    """Answer one command after the other, until the input ends."""
    swarm, loop = Swarm(), asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
        command: dict[str, Any] = codec.decode(line)  # a command's arguments are its own
        answer = await getattr(swarm, command.pop("do"))(**command)
        sys.stdout.buffer.write(codec.encode(answer) + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    uvloop.run(main())
