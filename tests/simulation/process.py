"""Processes: each has tasks and doors of its own, and may end or stand still at any of them."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from tests.simulation.chance import Chance, Fault
from tests.simulation.loop import BEGIN_S, OWNER, SimulatedLoop, Stoppable

T = TypeVar("T")

BEGIN = datetime(2027, 1, 4, 12, tzinfo=UTC)
STOP_S_MAX = 9.0
RESTART_S_MAX = 2.0


@dataclass
class Stage:
    """What all processes share: the loop, the chance, and the trace of what was done."""

    loop: SimulatedLoop
    chance: Chance
    trace: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What must never happen, as it was seen."""

    def now(self) -> datetime:
        """Give the instant, which every clock shows."""
        return BEGIN + timedelta(seconds=self.loop.time() - BEGIN_S)

    def now_us(self) -> int:
        """Give the microseconds since 1970."""
        return (self.now() - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.loop.time() - BEGIN_S:10.6f} {who}: {what}")


class Life(Stoppable):
    """A process from its start to its end; nothing that belongs to it does anything afterwards."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__()
        self.stage = stage
        self.name = name
        self.chance = stage.chance.apart(name)
        self.alive = True
        self.ended = asyncio.Event()
        self.closing: list[Callable[[], None]] = []
        self._tasks: dict[asyncio.Task[object], None] = {}
        self._context: Context = copy_context()
        self._context.run(OWNER.set, self)

    def spawn(self, work: Coroutine[object, object, T]) -> "asyncio.Task[T]":
        """Run something as a part of this process."""
        return self.stage.loop.create_task(work, context=self._context)

    def adopt(self, task: "asyncio.Task[object]") -> None:
        """Note a task that something in this process has begun."""
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def end(self, why: str) -> None:
        """End, as by SIGKILL: its connections are closed, and what is open is rolled back."""
        if not self.alive:
            return
        self.stage.note(self.name, f"ends: {why}")
        self.alive = False
        self.stage.loop.wake(self)
        for close in self.closing:
            close()
        for task in tuple(self._tasks):
            task.cancel()
        self.ended.set()

    def stop(self, for_s: float) -> None:
        """Stand still for a while, as between SIGSTOP and SIGCONT."""
        if not self.alive or self.stopped:
            return
        self.stage.note(self.name, f"stands still for {for_s:.3f} s")
        self.stopped = True
        # Not a timer of this process, which would be held as well.
        Context().run(self.stage.loop.call_later, for_s, self.wake)

    def wake(self) -> None:
        """Go on."""
        if self.stopped:
            self.stage.note(self.name, "goes on")
            self.stage.loop.wake(self)

    async def turn(self, what: str) -> None:
        """Be somewhere between here and a server: a moment later, or never."""
        self.require_alive()
        chance = self.chance
        if chance.strikes(Fault.CRASH):
            self.end(f"crash at {what}")
        if chance.strikes(Fault.STOP):
            self.stop(chance.between(0.05, STOP_S_MAX))
        await asyncio.sleep(chance.latency_s())
        self.require_alive()

    def require_alive(self) -> None:
        """Raise `CancelledError` in what is left of a process that has ended."""
        if not self.alive:
            raise asyncio.CancelledError


@dataclass
class Process:
    """A program that is started again whenever it has ended, as its supervisor would."""

    stage: Stage
    name: str
    main: Callable[[Life], Awaitable[None]]
    life: Life | None = None
    _lives: int = 0

    async def keep_alive(self) -> None:
        """Run it for ever."""
        while True:
            self._lives += 1
            self.life = life = Life(self.stage, f"{self.name}/{self._lives}")
            self.stage.note(life.name, "starts")
            main = life.spawn(self._run(life))
            await life.ended.wait()
            await asyncio.wait({main})
            if not life.chance.calm:
                await asyncio.sleep(life.chance.between(0.05, RESTART_S_MAX))

    async def _run(self, life: Life) -> None:
        try:
            await self.main(life)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            if life.alive:
                self.stage.wrong.append(f"{life.name} ended by itself: {error!r}")
        life.end("its main is over")


def make_task(
    loop: asyncio.AbstractEventLoop,
    work: Coroutine[object, object, T],
    context: Context | None = None,
) -> "asyncio.Task[T]":
    """Make a task, and tell the process that it belongs to: the loop's task factory."""
    task = asyncio.Task(work, loop=loop, context=context)
    owner = OWNER.get() if context is None else context.get(OWNER)
    if isinstance(owner, Life):
        owner.adopt(task)
        if not owner.alive:
            task.cancel()
    return task
