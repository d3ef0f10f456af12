"""Fuzzed connections: each ends as it must, and nobody else feels it."""

import asyncio
import gc
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import ClientConnection

from gateway.connection import Connection
from gateway.protocol import Session
from gateway.wire import Wire, WireProtocol
from schemas.ids import new_id
from tests.integration.fuzzed import Verdict, judge, pieces, stream
from tests.integration.gateway_world import World, frame, hello, until, world
from tests.integration.raw_socket import (
    CLOSE,
    PING_FRAME,
    PONG_FRAME,
    PONG_TEXT,
    UNLIMITED,
    Frame,
    RawPeer,
    close,
    framed,
    greeted,
    reset,
)

SEED = 6455
AT_A_TIME = 8
LAST = b"the last one"


@dataclass(slots=True)
class Campaign:
    """Clients come one after another, some at a time, until enough frames of theirs were read."""

    here: World
    user: UUID
    frames: int
    read: int = 0
    connections: int = 0
    sent_bytes: int = 0
    published: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_A_TIME):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while self.read < self.frames:
            self.connections += 1
            await self._one(Random(f"{SEED}-{self.connections}"))
            event_id = new_id()
            self.published.append(str(event_id))
            await self.here.publish(self.user, event_id)

    async def _one(self, random: Random) -> None:
        whole = stream(random)
        verdict = judge(whole)
        async with greeted(self.here) as peer:
            for piece in pieces(random, whole):
                await peer.send(piece)
            self.ends[await end(peer, verdict, random)] += 1
        self.read += verdict.frames
        self.sent_bytes += len(whole)


async def end(peer: RawPeer, verdict: Verdict, random: Random) -> str:
    """See a connection to the end that it must have, and name that."""
    if verdict.codes:
        return str(await refused(peer, verdict))
    if not verdict.torn:
        await peer.send(framed(PING_FRAME, LAST))
        verdict.pings.append(LAST)
    got = [await peer.frame() for _ in range(len(verdict.pings) + verdict.asked)]
    assert got.count(PONG_TEXT) == verdict.asked
    assert [pong for pong in got if pong != PONG_TEXT] == pongs(verdict.pings)
    goodbye = random.randrange(3)
    if goodbye == 0 and not verdict.torn:
        await peer.send(close(1000))
        assert await peer.closed() == 1000
    elif goodbye == 1:
        reset(peer.writer)
    else:
        peer.writer.write_eof()
    return "torn" if verdict.torn else "lives"


def pongs(payloads: Sequence[bytes]) -> Sequence[Frame]:
    return [Frame(PONG_FRAME, payload) for payload in payloads]


async def refused(peer: RawPeer, verdict: Verdict) -> int:
    """Read the close frame; before it come answers, and after it at most pongs."""
    got: list[Frame] = []
    while (last := await peer.frame()) and last.opcode != CLOSE:
        got.append(last)
    assert last, "no close frame"
    code = int.from_bytes(last.payload[:2], "big") if last.payload else 1005
    assert code in verdict.codes, f"{code}, not {verdict.codes}"
    await peer.send(framed(CLOSE, last.payload))
    peer.writer.write_eof()
    while last := await peer.frame():
        assert last.opcode == PONG_FRAME
        got.append(last)
    answered = [pong for pong in got if pong != PONG_TEXT]
    assert answered == pongs(verdict.pings[: len(answered)])
    assert len(got) - len(answered) <= verdict.asked
    return code


async def follow(client: ClientConnection, got: list[str]) -> None:
    while True:
        got.append((await frame(client))["event"]["id"])


def alive() -> Counter[str]:
    gc.collect()
    kinds = (Wire, WireProtocol, Connection, Session)
    # isinstance would ask the library's dead proxies for their class.
    return Counter(type(one).__name__ for one in gc.get_objects() if type(one) in kinds)


@pytest.mark.parametrize(
    "frames",
    [
        pytest.param(5_000, id="short"),
        pytest.param(100_000, id="long", marks=pytest.mark.long),
    ],
)
async def test_a_fuzzed_connection_ends_as_it_must_and_a_good_one_gets_its_events(
    frames: int, caplog: pytest.LogCaptureFixture
) -> None:
    """No close code but the right one, no fault in the log, and nothing kept of who has gone."""
    user, got = uuid4(), list[str]()
    async with world(UNLIMITED) as here, here.connect(user) as client:
        await hello(client)
        following = asyncio.create_task(follow(client, got))
        campaign = Campaign(here, user, frames)
        tasks, began_s = len(asyncio.all_tasks()), monotonic()
        await campaign.run()
        await until(lambda: len(got) == len(campaign.published) or following.done())
        assert got == campaign.published
        await until(lambda: len(here.running.gateway.connections) == 1)
        await until(lambda: len(asyncio.all_tasks()) == tasks)
        assert list(here.running.gateway.addresses._held.values()) == [1]
        assert alive() == {"Wire": 1, "WireProtocol": 1, "Connection": 1, "Session": 1}
        following.cancel()
    faults = [record.getMessage() for record in caplog.records if record.levelno > logging.INFO]
    assert not faults, faults
    print(
        f"{campaign.read} frames and {campaign.sent_bytes} bytes on {campaign.connections}"
        f" connections in {monotonic() - began_s:.1f} s; ends: {dict(campaign.ends.most_common())}"
    )
