"""The clocks and ids of the product, while a world is played: the fake time's, from the seed.

What may be handed in is handed in (`parts.py`); here is what the product takes from the standard
library where it needs it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import schemas.ids
import streams.effects.pausing
import streams.relay.__main__
import streams.relay.leadership
import streams.transport.memory
from tests.simulation.loop import OWNER
from tests.simulation.process import Life, Stage


@contextmanager
def replaced(*changes: tuple[object, str, object]) -> Iterator[None]:
    """Replace attributes while the context is open."""
    before = [(target, name, getattr(target, name)) for target, name, _ in changes]
    try:
        for target, name, value in changes:
            setattr(target, name, value)
        yield
    finally:
        for target, name, value in reversed(before):
            setattr(target, name, value)


@contextmanager
def clocks_of(stage: Stage, end_when_deposed: Callable[..., object]) -> Iterator[None]:
    """Let all that reads a clock or makes an id follow a stage."""
    loop, memory = stage.loop, streams.transport.memory
    time = SimpleNamespace(time_ns=lambda: stage.now_us() * 1_000)
    relay: ModuleType = streams.relay.__main__
    with replaced(
        (schemas.ids, "uuid7", lambda: stage.chance.id_at(stage.now().timestamp())),
        (streams.relay.leadership, "monotonic", loop.time),
        (streams.effects.pausing, "monotonic", loop.time),
        (memory, "time", time),
        # It ends its process, which here is a life and not all of this.
        (relay, "_end_when_deposed", end_when_deposed),
    ):
        yield


def life_here() -> Life:
    """Give the process that runs now."""
    owner = OWNER.get()
    if not isinstance(owner, Life):
        raise TypeError("nothing of a process runs here")
    return owner
