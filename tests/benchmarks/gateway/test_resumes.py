"""Everybody comes back at once: how long until each has what it missed, and what the log gives."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import monotonic
from uuid import UUID

import pytest

from gateway.limits import Limits
from gateway.resume import SEARCHED_BYTES
from gateway.server import Running, open_gateway
from schemas.ids import new_id
from schemas.settings import Settings
from streams.transport.interface import Transport
from tests.benchmarks.gateway.crowd import Crowd, Entry, Seen
from tests.benchmarks.gateway.figures import milliseconds
from tests.benchmarks.gateway.gateway_process import GatewayProcess
from tests.benchmarks.gateway.load import Load
from tests.stack import free_port
from tests.waiting import eventually

ALL_S_MAX = 10.0
MISSED_EACH = 3
BATCH = 500
MANY = 1_000_000


async def connect_all(crowd: Crowd, load: Load, port: int, users: Sequence[UUID]) -> None:
    """Connect a client for each user, and give each an event, behind which its position is."""
    await crowd.make(users)
    entry = await crowd.connect(port)
    assert len(entry.took_s) == len(users), entry.failed[:10]
    await publish_to_each(load, users)

    async def all_came() -> bool:
        return await crowd.count() == len(users)

    await eventually(all_came, 60, "each client has an event, and with it a position")
    await crowd.report()


async def publish_to_each(load: Load, users: Sequence[UUID]) -> None:
    for begin in range(0, len(users), BATCH):
        await load.publish(users[begin : begin + BATCH])


async def miss(crowd: Crowd, load: Load, users: Sequence[UUID]) -> None:
    """Let all be away while each of them misses some events."""
    await crowd.disconnect()
    for _ in range(MISSED_EACH):
        await publish_to_each(load, users)


def check(clients: Sequence[Seen], load: Load) -> None:
    """Check that each has exactly what it missed, in order."""
    for client in clients:
        assert client.connected
        assert client.recovered is True, client
        assert client.numbers == load.numbers[client.user][1:]


def told(entry: Entry, within_s: float) -> str:
    return (
        f"{len(entry.took_s)} clients came back within {within_s:.1f} s, each with"
        f" {MISSED_EACH} events missed; all had them after {entry.all_s:.1f} s;"
        f"\n  from its turn to `resumed`: {milliseconds(entry.took_s)}"
    )


@pytest.mark.parametrize(
    ("clients", "within_s"),
    [
        pytest.param(100, 0.5, id="short"),
        *(pytest.param(5_000, 2.0, id=f"long-{n}", marks=pytest.mark.long) for n in range(1, 4)),
    ],
)
async def test_after_a_kill_all_come_back_at_once_and_have_what_they_missed(
    gateway: GatewayProcess, crowd: Crowd, load: Load, clients: int, within_s: float
) -> None:
    """The gateway is killed; while it is away, events come; its successor has read them again."""
    users = [new_id() for _ in range(clients)]
    await connect_all(crowd, load, gateway.port, users)
    gateway.child.kill()
    await miss(crowd, load, users)
    began_at = monotonic()
    await gateway.start_again()
    ready_s = monotonic() - began_at
    entry = await crowd.connect(gateway.port, within_s)
    seen = await crowd.report()
    searched = await gateway.metric("taskflow_gateway_searched_bytes_total")
    tailed = await gateway.metric("taskflow_gateway_tailed_bytes_total")
    print(
        f"\n{told(entry, within_s)}\n  a killed gateway was ready again after {ready_s:.1f} s;"
        f" it read {tailed / 2**20:.1f} MiB as they come, of {load.bytes_published / 2**20:.1f}"
        f" in the log, and {searched / 2**20:.1f} MiB in search of what was missed"
    )
    assert entry.failed == []
    check(seen, load)
    if clients >= 5_000:
        assert entry.all_s <= ALL_S_MAX


@pytest.mark.parametrize(
    ("how", "indexed_events"),
    [pytest.param("offsets", MANY, id="offsets"), pytest.param("log", 0, id="log")],
)
@pytest.mark.parametrize(
    ("clients", "within_s"),
    [
        pytest.param(100, 0.5, id="short"),
        pytest.param(5_000, 2.0, id="long", marks=pytest.mark.long),
    ],
)
async def test_what_is_not_in_memory_comes_from_the_log(
    settings: Settings,
    transport: Transport,
    crowd: Crowd,
    load: Load,
    how: str,
    indexed_events: int,
    clients: int,
    within_s: float,
) -> None:
    """The same with a gateway that keeps no event, and finds them by their offsets or by search."""
    settings = settings.model_copy(update={"gateway_port": free_port()})
    limits = Limits(
        connections_per_address=MANY, recent_bytes_max=0, indexed_events_max=indexed_events
    )
    users = [new_id() for _ in range(clients)]
    async with AsyncExitStack() as first:
        await ready(await first.enter_async_context(open_gateway(settings, transport, limits)))
        await connect_all(crowd, load, settings.gateway_port, users)
        await crowd.disconnect()
    await miss(crowd, load, users)
    async with open_gateway(settings, transport, limits) as running:
        await ready(running)
        searched = SEARCHED_BYTES._value.get()
        entry = await crowd.connect(settings.gateway_port, within_s)
        searched = SEARCHED_BYTES._value.get() - searched
        seen = await crowd.report()
        await crowd.disconnect()
    print(
        f"\n{told(entry, within_s)}\n  all by {how}: {searched / 2**20:.1f} MiB were read,"
        f" of {load.bytes_published / 2**20:.1f} in the log"
    )
    assert entry.failed == []
    check(seen, load)
    if clients >= 5_000:
        assert entry.all_s <= ALL_S_MAX


async def ready(running: Running) -> None:
    async def well() -> bool:
        return running.tail.trouble is None

    async with asyncio.timeout(30):
        await eventually(well, 30, "the gateway is ready")
