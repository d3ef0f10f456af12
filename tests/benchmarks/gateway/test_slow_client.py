"""A client that stops reading costs a bounded piece of memory, and nobody else any time."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from uuid import UUID

import pytest

from schemas.ids import new_id
from tests.benchmarks.gateway.crowd import Crowd, Seen
from tests.benchmarks.gateway.figures import delays, milliseconds, percentile
from tests.benchmarks.gateway.gateway_process import GatewayProcess
from tests.benchmarks.gateway.load import Load
from tests.waiting import eventually

LARGE = 20_000
"""The length of a description with which the slow client's queue is full in seconds."""
EXTRA_BYTES_MAX = 16 * 2**20
SLOWER_MAX = 1.2
NOISE_S = 0.005
"""The best rounds are compared, since whatever else the machine does only makes some worse."""


@dataclass(frozen=True, slots=True)
class Round:
    """One stretch of the load: the others' delays, and how much memory the gateway gained."""

    delays_s: Sequence[float]
    gained_bytes: int
    waited_s: float
    slow: Seen

    @property
    def p99_s(self) -> float:
        return percentile(self.delays_s, 99)


@dataclass(slots=True)
class Trial:
    """The same load again and again; the first of the users gets large events, a tenth of all."""

    gateway: GatewayProcess
    crowd: Crowd
    load: Load
    users: Sequence[UUID]
    per_s: int
    seconds: int

    async def round(self, *, reading: bool) -> Round:
        """Run the load once, while the first client reads or does not; then it has all again."""
        rss_bytes, published = self.gateway.rss_bytes, len(self.load.called_at)
        waited_s = self.gateway.waited_s
        if not reading:
            await self.crowd.pause_first()
        await self.load.steadily(
            self.per_s * self.seconds, self.seconds, self.user_of, self.filler_of
        )
        gained_bytes = self.gateway.rss_bytes - rss_bytes
        waited_s = self.gateway.waited_s - waited_s
        if not reading:
            await self.crowd.go_on_first()
            await eventually(self.slow_has_gone, 30, "the slow client was closed")
            await self.crowd.reconnect_first(self.gateway.port)

        async def all_came() -> bool:
            return await self.crowd.count() == len(self.load.called_at) - published

        await eventually(all_came, 60, "every client has its events")
        slow, *others = await self.crowd.report()
        return Round(delays(others, self.load.called_at), gained_bytes, waited_s, slow)

    def told(self, one: Round) -> str:
        return (
            f"{milliseconds(one.delays_s)}, memory {one.gained_bytes / 2**20:+.1f} MiB,"
            f" waited for a CPU {one.waited_s / self.seconds:.0%} of the time"
        )

    def user_of(self, index: int) -> UUID:
        if index % 10 == 0:
            return self.users[0]
        return self.users[1 + index % (len(self.users) - 1)]

    def filler_of(self, index: int) -> int:
        return LARGE if index % 10 == 0 else 0

    async def slow_has_gone(self) -> bool:
        return not await self.crowd.first_is_connected()


@pytest.mark.parametrize(
    ("connections", "per_s", "seconds", "pairs"),
    [
        pytest.param(20, 1_000, 4, 1, id="short", marks=pytest.mark.long),
        pytest.param(200, 1_000, 8, 4, id="long", marks=pytest.mark.long),
    ],
)
async def test_a_client_that_stops_reading_is_closed_and_holds_up_nobody(
    gateway: GatewayProcess,
    crowd: Crowd,
    load: Load,
    connections: int,
    per_s: int,
    seconds: int,
    pairs: int,
) -> None:
    """Rounds in which all read take turns with rounds in which one does not, and comes back."""
    users = [new_id() for _ in range(connections)]
    trial = Trial(gateway, crowd, load, users, per_s, seconds)
    await crowd.make(users)
    await crowd.connect(gateway.port)
    await trial.round(reading=True)  # The first fills the gateway's memory of recent events.
    rounds = [await trial.round(reading=reading) for _ in range(pairs) for reading in (True, False)]
    all_read, one_slow = rounds[::2], rounds[1::2]
    print(f"\n{connections} connections, {per_s} events/s, rounds of {seconds} s:")
    for number, (before, during) in enumerate(zip(all_read, one_slow, strict=True), 1):
        print(f"  {number}: all read:     {trial.told(before)};")
        print(f"     one does not: {trial.told(during)}, closed, resumed")
    usual, slow = ([each.p99_s for each in kind] for kind in (all_read, one_slow))
    print(
        f"  p99, median and best round: all read {median(usual) * 1e3:.1f} and"
        f" {min(usual) * 1e3:.1f} ms, one does not {median(slow) * 1e3:.1f} and"
        f" {min(slow) * 1e3:.1f} ms"
    )
    closes = await gateway.metric("taskflow_gateway_closes_total", reason="slow_consumer")
    assert closes == pairs
    assert all(each.slow.recovered for each in one_slow)
    assert [n for r in rounds for n in r.slow.numbers] == load.numbers[users[0]][
        -sum(len(r.slow.events) for r in rounds) :
    ]
    if pairs > 1:
        gained = median(r.gained_bytes for r in all_read)
        assert max(r.gained_bytes for r in one_slow) <= gained + EXTRA_BYTES_MAX
        assert min(slow) <= min(usual) * SLOWER_MAX + NOISE_S
