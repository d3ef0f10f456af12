"""An operator at the command line: `faust -A streams.<app> …` and `taskflow …`, as processes."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMMAND_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    """What a command left: its exit code and what it wrote."""

    code: int
    raw: bytes
    errors: str

    @property
    def out(self) -> str:
        return self.raw.decode()

    def json(self) -> Any:
        """Read what it wrote as JSON, of whichever shape the test expects."""
        assert self.raw, self.errors
        return json.loads(self.raw)


async def run(environment: Mapping[str, str], *command: str) -> Done:
    """Run a command that has no terminal."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=dict(environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), COMMAND_S_MAX)
    assert process.returncode is not None
    return Done(process.returncode, out, errors.decode())


async def faust(environment: Mapping[str, str], app: str, *words: str) -> Done:
    """Run a command of a worker's app."""
    return await run(environment, sys.executable, "-m", "faust", "-A", f"streams.{app}", *words)


async def taskflow(environment: Mapping[str, str], *words: str) -> Done:
    """Run a command of TaskFlow's."""
    return await run(environment, sys.executable, "-m", "streams.cli", *words)
