"""What an idle connection costs, and whether many of them slow an event down."""

import random

import pytest

from schemas.ids import new_id
from tests.benchmarks.gateway.crowd import Crowd
from tests.benchmarks.gateway.figures import delays, milliseconds, percentile
from tests.benchmarks.gateway.gateway_process import GatewayProcess
from tests.benchmarks.gateway.load import Load
from tests.waiting import eventually

BYTES_EACH_MAX = 20 * 1024
P99_S_MAX = 0.05
PER_S = 50


@pytest.mark.parametrize(
    ("connections", "per_user", "events"),
    [
        pytest.param(200, 4, 50, id="short"),
        pytest.param(10_000, 1, 500, id="10000-users", marks=pytest.mark.long),
        pytest.param(10_000, 50, 500, id="200-users", marks=pytest.mark.long),
    ],
)
async def test_an_idle_connection_is_small_and_slows_no_event_down(
    gateway: GatewayProcess, crowd: Crowd, load: Load, connections: int, per_user: int, events: int
) -> None:
    """Events come one after another to users chosen at random; each of their clients gets each."""
    users = [new_id() for _ in range(connections // per_user)]
    await load.publish([new_id()])
    await crowd.make(users * per_user)
    before = gateway.rss_bytes
    entry = await crowd.connect(gateway.port)
    assert len(entry.took_s) == connections, entry.failed[:10]
    bytes_each = (gateway.rss_bytes - before) / connections

    chosen = random.Random(1).choices(users, k=events)
    waited_s = gateway.waited_s
    await load.steadily(events, events / PER_S, lambda index: chosen[index])
    waited_s = gateway.waited_s - waited_s

    async def all_came() -> bool:
        return await crowd.count() == events * per_user

    await eventually(all_came, 30, "every client has its events")
    clients = await crowd.report()
    since_call, since_ack = delays(clients, load.called_at), delays(clients, load.acked_at)
    print(
        f"\n{connections} connections of {len(users)} users, all open after {entry.all_s:.1f} s:"
        f" {bytes_each / 1024:.1f} KiB each above an empty gateway's {before / 2**20:.0f} MiB;"
        f"\n{events} events one after another, {PER_S} a second, {len(since_call)} frames:"
        f"\n  publish called to frame: {milliseconds(since_call)}"
        f"\n  publish acknowledged to frame: {milliseconds(since_ack)}"
        f"\n  the gateway waited for a CPU {waited_s * PER_S / events:.0%} of the time"
    )
    for client in clients:
        assert client.connected
        assert client.numbers == load.numbers.get(client.user, [])
    if connections >= 10_000:
        assert bytes_each <= BYTES_EACH_MAX
        assert percentile(since_call, 99) <= P99_S_MAX
