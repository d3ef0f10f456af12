"""Figures, as they are printed: always beside the load that made them."""

from collections.abc import Iterable, Mapping, Sequence

from tests.benchmarks.gateway.crowd import Seen


def percentile(values: Sequence[float], percent: float) -> float:
    """Give the value that so many percent do not exceed."""
    in_order = sorted(values)
    return in_order[max(0, -(-len(in_order) * percent // 100).__int__() - 1)]


def milliseconds(seconds: Sequence[float]) -> str:
    """Say p50, p99 and the largest of some times."""
    p50, p99 = percentile(seconds, 50), percentile(seconds, 99)
    return f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, max {max(seconds) * 1e3:.1f} ms"


def delays(clients: Iterable[Seen], since: Mapping[int, float]) -> list[float]:
    """Give the seconds from an instant of each event to each frame of it."""
    return [at - since[number] for client in clients for number, at in client.events]
