"""The gateway as a process: how it starts, and how it ends."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from uuid import uuid4

import pytest
from websockets.asyncio.client import ClientConnection, connect

from gateway.limits import Limits
from gateway.server import CannotListenError, open_gateway
from schemas.frames import Close
from streams.transport.memory import MemoryTransport
from tests.integration.gateway_world import (
    SECRET,
    WAIT_S_MAX,
    closed,
    hello,
    settings_of_a_test,
    world,
)


async def test_closing_tells_every_client_and_cuts_one_that_does_not_answer() -> None:
    limits = Limits(close_s_max=0.2)
    async with asyncio.timeout(WAIT_S_MAX):
        async with world(limits) as here:
            known = await here.connect(uuid4()).__aenter__()
            await hello(known)
            asked = await here.connect().__aenter__()
            deaf = await here.connect().__aenter__()
            deaf.transport.pause_reading()
            half_open = socket.create_connection(("127.0.0.1", here.running.port))
            half_open.close()
        assert await closed(known) == (4001, "shutting_down")
        assert await closed(asked) == (4001, "shutting_down")
        deaf.transport.abort()


async def test_a_taken_port_is_one_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        settings = settings_of_a_test(gateway_port=port)
        with pytest.raises(CannotListenError, match=f"127.0.0.1:{port}"):
            await open_gateway(settings, MemoryTransport(settings)).__aenter__()


def test_every_code_that_the_gateway_sends_is_below_its_limit() -> None:
    """A close frame's reason has at most 123 bytes (RFC 6455, section 5.5)."""
    assert all(len(close.reason) <= 123 for close in Close)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def process(port: int, **environment: str) -> subprocess.Popen[str]:
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.Popen(
        [sys.executable, "-m", "gateway"],
        env={**inherited, "TRANSPORT": "memory", "GATEWAY_PORT": str(port), **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_every_client_with_4001_and_ends_the_process(number: int) -> None:
    port = free_port()
    running = process(port, JWT_SECRET=SECRET)
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            client = await patiently_connect(port)
        running.send_signal(number)
        assert await closed(client) == (4001, "shutting_down")
        _, errors = await asyncio.to_thread(running.communicate, timeout=WAIT_S_MAX)
        assert running.returncode == 0, errors
        assert "Traceback" not in errors
    finally:
        running.kill()
        running.communicate()


async def patiently_connect(port: int) -> ClientConnection:
    while True:
        try:
            return await connect(f"ws://127.0.0.1:{port}/ws", proxy=None)
        except OSError:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("missing", "environment"),
    [("JWT_SECRET", {}), ("KAFKA_BOOTSTRAP_SERVERS", {"JWT_SECRET": SECRET, "TRANSPORT": "kafka"})],
)
async def test_a_missing_setting_ends_it_with_a_sentence(
    missing: str, environment: dict[str, str]
) -> None:
    running = process(free_port(), **environment)
    _, errors = await asyncio.to_thread(running.communicate, timeout=WAIT_S_MAX)
    assert running.returncode == 1
    assert errors.startswith(f"{missing} is not set.")
    assert "Traceback" not in errors


async def test_a_taken_port_ends_it_with_a_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        running = process(port, JWT_SECRET=SECRET)
        _, errors = await asyncio.to_thread(running.communicate, timeout=WAIT_S_MAX)
    assert running.returncode == 1
    assert f"The gateway cannot listen on 127.0.0.1:{port}" in errors
    assert "Traceback" not in errors
