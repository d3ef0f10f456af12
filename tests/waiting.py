"""Waiting for a condition, with a limit: what tests do instead of sleeping."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic

LOOK_S = 0.05


async def eventually(condition: Callable[[], Awaitable[bool]], limit_s: float, what: str) -> None:
    """Return as soon as the condition holds; fail with `what` did not happen when time is over."""
    until = monotonic() + limit_s
    while not await condition():
        assert monotonic() < until, f"not within {limit_s:.0f} s: {what}"
        await asyncio.sleep(LOOK_S)
