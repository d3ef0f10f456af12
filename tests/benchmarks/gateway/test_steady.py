"""How long an event takes from its publish to a client, under a steady load."""

from time import monotonic

import pytest

from schemas.ids import new_id
from tests.benchmarks.gateway.crowd import Crowd
from tests.benchmarks.gateway.figures import delays, milliseconds
from tests.benchmarks.gateway.gateway_process import GatewayProcess
from tests.benchmarks.gateway.load import Load
from tests.waiting import eventually


@pytest.mark.parametrize(
    ("connections", "per_s", "seconds"),
    [
        pytest.param(50, 200, 2, id="short"),
        *(
            pytest.param(1_000, 2_000, 20, id=f"long-{run}", marks=pytest.mark.long)
            for run in range(1, 4)
        ),
    ],
)
async def test_a_steady_load_reaches_everybody_and_closes_nobody(
    gateway: GatewayProcess, crowd: Crowd, load: Load, connections: int, per_s: int, seconds: int
) -> None:
    """Each client is a user of its own, and they take turns."""
    users = [new_id() for _ in range(connections)]
    await load.publish([new_id()])
    await crowd.make(users)
    await crowd.connect(gateway.port)
    closes = await gateway.metric("taskflow_gateway_closes_total")
    cpu_s, waited_s, began_at = gateway.cpu_s, gateway.waited_s, monotonic()
    await load.steadily(per_s * seconds, seconds, lambda index: users[index % connections])
    took_s = monotonic() - began_at
    cpu_s, waited_s = gateway.cpu_s - cpu_s, gateway.waited_s - waited_s

    async def all_came() -> bool:
        return await crowd.count() == per_s * seconds

    await eventually(all_came, 30, "every client has its events")
    clients = await crowd.report()
    acks = [load.acked_at[n] - called for n, called in load.called_at.items()]
    print(
        f"\n{connections} connections, {per_s * seconds / took_s:.0f} events/s for {took_s:.1f} s:"
        f"\n  publish called to frame: {milliseconds(delays(clients, load.called_at))}"
        f"\n  publish acknowledged to frame: {milliseconds(delays(clients, load.acked_at))}"
        f"\n  publish called to acknowledged: {milliseconds(acks)}"
        f"\n  the gateway used {cpu_s / took_s:.0%} of one CPU, and {waited_s / took_s:.0%} of the"
        " time it waited for one"
    )
    assert await gateway.metric("taskflow_gateway_closes_total") == closes
    for client in clients:
        assert client.connected
        assert client.numbers == load.numbers[client.user]
