"""A loop whose time moves only when nothing is ready, and whose processes can be stopped.

A library that fakes the time of a loop knows no processes, of which one stands still while the
others go on; and the few lines for the time itself are `_Selector`.
"""

import asyncio
import selectors
from asyncio.events import Handle, TimerHandle
from collections.abc import Callable
from contextvars import Context, ContextVar
from math import ceil
from typing import Any, TypeVarTuple, Unpack

Ts = TypeVarTuple("Ts")

BEGIN_S = 1_000.0
"""The monotonic clocks of all processes show this at the start."""

TICK_S = 1e-6


class StuckError(Exception):
    """Nothing is ready, and no timer runs: everything waits for something that cannot come."""


class Stoppable:
    """What a task belongs to; while it is stopped, nothing of it runs, as after SIGSTOP."""

    def __init__(self) -> None:
        self.stopped = False
        self.held: list[Handle] = []


OWNER: ContextVar[Stoppable | None] = ContextVar("OWNER", default=None)


class _Selector(selectors.SelectSelector):
    """Waits for nothing: it tells the loop that the time is over."""

    def __init__(self) -> None:
        super().__init__()
        self.passed_us = 0

    def select(self, timeout: float | None = None) -> list[Any]:  # as the base class has it
        if timeout is None:
            raise StuckError("nothing is ready, and nothing is due")
        self.passed_us += ceil(timeout * 1e6)
        return []


class SimulatedLoop(asyncio.SelectorEventLoop):
    """Runs what is ready in the order in which it became so, and then jumps to what is due."""

    def __init__(self) -> None:
        self._waits = _Selector()
        super().__init__(self._waits)
        self._clock_resolution = 1e-9

    def time(self) -> float:
        return BEGIN_S + self._waits.passed_us / 1e6

    def call_soon(
        self,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> Handle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None or not owner.stopped:
            return super().call_soon(callback, *args, context=context)
        handle = Handle(callback, args, self, context)
        owner.held.append(handle)
        return handle

    def call_later(
        self,
        delay: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        # A real clock goes on while code runs, so who asks again for what is left comes to an end.
        when = self.time() + max(delay, TICK_S)
        return self.call_at(when, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[Unpack[Ts]], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> TimerHandle:
        owner = OWNER.get() if context is None else context.get(OWNER)
        if owner is None:
            return super().call_at(when, callback, *args, context=context)

        def due() -> None:
            if owner.stopped:
                owner.held.append(Handle(due, (), self, context))
            elif not timer.cancelled():
                callback(*args)

        timer = super().call_at(when, due, context=context)
        return timer

    def wake(self, owner: Stoppable) -> None:
        """Let a stopped process go on with what came for it meanwhile, in that order."""
        owner.stopped = False
        held, owner.held = owner.held, []
        for handle in held:
            if not handle.cancelled():
                self._ready.append(handle)  # type: ignore[attr-defined]  # call_soon makes others
