"""A supervised process: started again whenever it ends, until its task is cancelled."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic

from streams.embedded.failure import EmbeddedError

STOP_S_MAX = 12.0
"""Longer than what any process of ours takes to end by itself."""
PAUSE_S_MIN, PAUSE_S_MAX = 0.2, 10.0
SETTLED_S = 10.0
"""A process that ran for so long was well: the next pause is the shortest again."""
_CHUNK_BYTES = 65_536

Show = Callable[[str, str], None]
"""Is given a process's name, and a line that it wrote or that is about it."""


@dataclass(frozen=True, slots=True)
class Supervised:
    """One line of the Procfile. It runs in a session of its own, so Ctrl-C reaches only us."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    show: Show

    async def run(self) -> None:
        """Run it for ever. Cancelled, it is ended: asked first, killed after `STOP_S_MAX`.

        Cancelled once more, it is killed at once.
        """
        pause_s = PAUSE_S_MIN
        while True:
            began_at = monotonic()
            code = await self._run_once()
            if monotonic() - began_at > SETTLED_S:
                pause_s = PAUSE_S_MIN
            self.show(self.name, f"ended with {code}; it starts again in {pause_s:.1f} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    async def _run_once(self) -> int:
        process = await self._start()
        showing = asyncio.ensure_future(self._show_output(process))
        try:
            return await process.wait()
        finally:
            await self._end(process)
            await asyncio.wait({showing}, timeout=1.0)
            showing.cancel()

    async def _start(self) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self.command,
                env=dict(self.environment),
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise EmbeddedError(f"{self.name} cannot be started: {error}.") from error

    async def _end(self, process: Process) -> None:
        """End it with all that it has started."""
        try:
            _signal_group(process, signal.SIGTERM)
            async with asyncio.timeout(STOP_S_MAX):
                await process.wait()
        except TimeoutError:
            self.show(self.name, f"did not end in {STOP_S_MAX:.0f} s, and is killed")
        finally:
            _signal_group(process, signal.SIGKILL)

    async def _show_output(self, process: Process) -> None:
        """Show what it writes, line by line; a line of over 64 KiB comes in pieces."""
        if process.stdout is None:
            raise RuntimeError("the process was started with a pipe")
        rest = b""
        while chunk := await process.stdout.read(_CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > _CHUNK_BYTES:
                lines, rest = [*lines, rest], b""
            for line in lines:
                self.show(self.name, line.decode("utf-8", "replace"))
        if rest:
            self.show(self.name, rest.decode("utf-8", "replace"))


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
