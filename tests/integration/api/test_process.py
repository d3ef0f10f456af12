"""The API as a process: how it starts, and how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.integration.api.world import SECRET, WAIT_S_MAX
from tests.stack import free_port
from tests.waiting import eventually

NOWHERE = "postgresql://nobody:x@127.0.0.1:1/none"
"""A database that is away: the API starts all the same."""


def start(port: int, folder: Path, **environment: str) -> subprocess.Popen[str]:
    inherited = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd())}
    return subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=folder,
        env={**inherited, "API_PORT": str(port), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_api_in_good_order(number: int, tmp_path: Path) -> None:
    port = free_port()
    running = start(port, tmp_path, DATABASE_URL=NOWHERE, JWT_SECRET=SECRET)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:

            async def lives() -> bool:
                try:
                    await client.get(f"http://127.0.0.1:{port}/health/live")
                except httpx.TransportError:
                    return False
                return True

            await eventually(lives, WAIT_S_MAX, "the API answers")
        running.send_signal(number)
        _, told = await asyncio.to_thread(running.communicate, timeout=WAIT_S_MAX)
        assert running.returncode == 0, told
        assert "Traceback" not in told
    finally:
        running.kill()
        running.communicate()


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"JWT_SECRET": SECRET}, "DATABASE_URL"),
        ({"DATABASE_URL": NOWHERE}, "JWT_SECRET"),
        ({"DATABASE_URL": NOWHERE, "JWT_SECRET": SECRET}, "address already in use"),
    ],
)
async def test_what_keeps_the_api_from_starting_is_one_clear_error(
    given: dict[str, str], named: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        running = start(taken.getsockname()[1], tmp_path, **given)
        _, told = await asyncio.to_thread(running.communicate, timeout=WAIT_S_MAX)
    assert running.returncode in {1, 3}  # 3 is what uvicorn ends with if it cannot listen
    assert named in told
    assert "Traceback" not in told
    assert SECRET not in told
