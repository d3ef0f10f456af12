"""What Faust 0.15.3 does when left alone: the reasons for `streams/effects`, kept as tests.

Each test runs a plain Faust app against the real broker and reads what it prints.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from schemas.settings import Settings
from schemas.topics import TASK_EVENTS
from streams.transport.interface import Message, Transport

PROBE = Path(__file__).with_name("faust_probe.py")
LINE_S_MAX = 30.0


class Probe:
    """A running probe; `wait_for` reads its lines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self.lines: list[str] = []

    async def wait_for(self, wanted: str) -> None:
        assert self._process.stdout is not None
        async with asyncio.timeout(LINE_S_MAX):
            while wanted not in self.lines:
                line = await self._process.stdout.readline()
                assert line, f"the probe ended: {self.lines}"
                self.lines.append(line.decode().strip())


@asynccontextmanager
async def probe(mode: str, settings: Settings, topic: str | None = None) -> AsyncIterator[Probe]:
    name = settings.kafka_topic_prefix + (topic or TASK_EVENTS.name)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROBE),
        mode,
        name,
        f"{settings.kafka_topic_prefix}{mode}",
        settings.required_bootstrap_servers(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield Probe(process)
    finally:
        process.kill()
        await process.communicate()


async def publish(transport: Transport, *values: bytes) -> list[int]:
    """Publish to partition 0, which the probe watches, and give the offsets."""
    places = [
        await transport.publish(Message(TASK_EVENTS.name, b"k", value, partition=0))
        for value in values
    ]
    return [place.offset for place in places]


async def test_an_exception_in_an_agent_commits_the_event_that_it_did_not_process(
    settings: Settings, transport: Transport
) -> None:
    """So a worker of ours never lets Faust ack: its bug would lose the event."""
    offsets = await publish(transport, b"good", b"bad", b"good")
    async with probe("plain", settings) as running:
        await running.wait_for(f"got {offsets[1]}")
        await running.wait_for(f"committed {offsets[2] + 1}")


async def test_what_cannot_be_decoded_is_dropped_before_an_agent_sees_it(
    settings: Settings, transport: Transport
) -> None:
    """So a worker of ours asks for raw bytes, and decodes them itself."""
    offsets = await publish(transport, b"{not json", b'"good"')
    async with probe("json", settings) as running:
        await running.wait_for(f"got {offsets[1]}")
    assert f"got {offsets[0]}" not in running.lines


async def test_noack_take_commits_nothing_by_itself(
    settings: Settings, transport: Transport
) -> None:
    """So a batch that was not committed comes again after a crash."""
    offsets = await publish(transport, b"one", b"two")
    for _ in range(2):
        async with probe("noack", settings) as running:
            for offset in offsets:
                await running.wait_for(f"got {offset}")


async def test_a_topic_that_does_not_exist_is_ignored_in_silence(settings: Settings) -> None:
    """So a worker of ours looks for its topic first."""
    async with probe("plain", settings, topic="never-created") as running:
        await running.wait_for("committed None")
    assert not [line for line in running.lines if line.startswith("got")]
