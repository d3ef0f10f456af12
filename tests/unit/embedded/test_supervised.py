"""A supervised process: restarted, shown, and ended whatever it does."""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from streams.embedded.failure import EmbeddedError
from streams.embedded.supervised import Supervised
from tests.waiting import eventually

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print("pid", child.pid, flush=True)
time.sleep(600)
"""


@dataclass
class Screen:
    lines: list[str] = field(default_factory=list)

    def show(self, name: str, line: str) -> None:
        assert name == "it"
        self.lines.append(line)

    async def has(self, text: str, times: int = 1) -> None:
        async def shown() -> bool:
            return sum(text in line for line in self.lines) >= times

        await eventually(shown, 15, text)


def python(screen: Screen, program: str) -> Supervised:
    return Supervised("it", [sys.executable, "-uc", program], {"X": "1"}, screen.show)


@asynccontextmanager
async def running(process: Supervised) -> AsyncIterator["asyncio.Task[None]"]:
    task = asyncio.create_task(process.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_what_ends_is_started_again() -> None:
    """Each time after a longer pause, and the code is shown."""
    screen = Screen()
    async with running(python(screen, "import os, sys; print(dict(os.environ)); sys.exit(3)")):
        await screen.has("ended with 3; it starts again in 0.4 s")
        await screen.has("'X': '1'", times=2)


async def test_long_output_comes_in_pieces_and_is_not_lost() -> None:
    """Also what has no end of line, or is no UTF-8."""
    screen = Screen()
    program = (
        "import sys; sys.stdout.buffer.write(b'x' * 200_000 + b'\\n\\xff'); sys.stdout.flush()"
    )
    async with running(python(screen, program)):
        await screen.has("ended with 0")
    assert sum(line.count("x") for line in screen.lines[:6]) >= 200_000
    assert "\ufffd" in screen.lines


async def test_a_cancelled_one_is_asked_to_end() -> None:
    """And is gone when the task is done."""
    screen = Screen()
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('asked'), sys.exit(0)))\n"
        "print('up')\n"
        "time.sleep(600)"
    )
    async with running(python(screen, program)):
        await screen.has("up")
    assert screen.lines == ["up", "asked"]


async def test_a_second_cancellation_kills_it_with_all_that_it_started() -> None:
    """Nobody waits for what does not want to end."""
    screen = Screen()
    async with running(python(screen, STUBBORN)) as task:
        await screen.has("pid")
        task.cancel()
        await asyncio.wait({task}, timeout=0.2)
        assert not task.done()
    grandchild = int(screen.lines[0].split()[1])

    async def gone() -> bool:
        return not psutil.pid_exists(grandchild)

    await eventually(gone, 5, "the process that it started is gone")


@pytest.mark.parametrize("command", [["/no/such/program"], [str(Path(__file__))]])
async def test_a_command_that_cannot_be_started_is_one_sentence(command: Sequence[str]) -> None:
    with pytest.raises(EmbeddedError, match="it cannot be started"):
        await Supervised("it", command, {}, Screen().show).run()
