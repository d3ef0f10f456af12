"""A crowd: clients in processes of their own, so that they are not what is measured."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schemas import codec

PROCESSES = 2
_LINE_BYTES_MAX = 1 << 28
_MODULE = "tests.benchmarks.gateway.swarm"


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one client: its events are numbers, and when each came."""

    user: UUID
    connected: bool
    recovered: bool | None
    close_code: int | None
    events: Sequence[tuple[int, float]]

    @property
    def numbers(self) -> Sequence[int]:
        return [number for number, _ in self.events]


@dataclass(frozen=True, slots=True)
class Entry:
    """How clients came in: the seconds that each took, and the codes of those refused."""

    took_s: Sequence[float]
    failed: Sequence[int | None]
    all_s: float


@dataclass(slots=True)
class Crowd:
    """Each process has its share of the clients: every second one, if there are two."""

    processes: Sequence[Process]
    secret: str

    async def make(self, users: Sequence[UUID]) -> None:
        """Make a client for each of the users, in their order."""
        shares = [users[index :: len(self.processes)] for index in range(len(self.processes))]
        await asyncio.gather(
            *(
                self._ask(process, "make", users=[str(user) for user in share], secret=self.secret)
                for process, share in zip(self.processes, shares, strict=True)
            )
        )

    async def connect(self, port: int, within_s: float = 0.0) -> Entry:
        """Connect all, evenly over a time, and wait until each may wait for live events."""
        answers = await self._ask_all("connect", port=port, within_s=within_s)
        return Entry(
            took_s=[seconds for answer in answers for seconds in answer["took_s"]],
            failed=[code for answer in answers for code in answer["failed"]],
            all_s=max(answer["all_s"] for answer in answers),
        )

    async def pause_first(self) -> None:
        """Let the first client read nothing more."""
        await self._ask(self.processes[0], "pause", index=0)

    async def go_on_first(self) -> None:
        """Let it read again, which it must to learn that it was closed."""
        await self._ask(self.processes[0], "go_on", index=0)

    async def first_is_connected(self) -> bool:
        """Tell whether it has its connection, as far as it knows."""
        return bool(await self._ask(self.processes[0], "is_connected", index=0))

    async def reconnect_first(self, port: int) -> None:
        """Let the first client come back."""
        await self._ask(self.processes[0], "connect", port=port, within_s=0, first=0, last=1)

    async def count(self) -> int:
        """Give how many events have come since the last report."""
        return sum(await self._ask_all("count"))

    async def report(self) -> Sequence[Seen]:
        """Give what became of all since the last report, in the order of `make`."""
        shares = [
            [Seen(UUID(s.pop("user")), **s) for s in a] for a in await self._ask_all("report")
        ]
        longest = max(map(len, shares))
        return [share[row] for row in range(longest) for share in shares if row < len(share)]

    async def disconnect(self) -> None:
        """Cut all connections off."""
        await self._ask_all("disconnect")

    async def _ask_all(self, command: str, **arguments: object) -> Sequence[Any]:
        return await asyncio.gather(
            *(self._ask(process, command, **arguments) for process in self.processes)
        )

    async def _ask(self, process: Process, command: str, **arguments: object) -> Any:
        assert process.stdin
        assert process.stdout
        process.stdin.write(codec.encode({"do": command, **arguments}) + b"\n")
        await process.stdin.drain()
        line = await process.stdout.readline()
        assert line, "a process of clients has ended"
        return codec.decode(line)


@asynccontextmanager
async def open_crowd(secret: str) -> AsyncIterator[Crowd]:
    """Start the processes; they end with the context."""
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", _MODULE, stdin=PIPE, stdout=PIPE, limit=_LINE_BYTES_MAX
        )
        for _ in range(PROCESSES)
    ]
    try:
        yield Crowd(processes, secret)
    finally:
        for process in processes:
            assert process.stdin
            process.stdin.close()
            await process.wait()
