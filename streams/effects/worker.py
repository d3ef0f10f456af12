"""What a worker is, for this layer: a name, a topic, the types it knows, and its effects."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.settings import Settings
from schemas.topics import Topic
from streams.effects.reading import Event
from streams.effects.retrying import Trouble
from streams.store.database import Database, Session

Apply = Callable[[Session, Sequence[Event]], Awaitable[None]]
"""Writes the effects of events of one partition, in their order, within the transaction given.

It must be idempotent by event id, since the relay may publish an event twice. It raises
`PoisonError` for an event that can never be processed, with a text that is fit for a log and has
nothing of a user's in it, and lets the store's errors pass. `reading.read_each` raises for all that
are bad in a batch at once, so that they cost one more try and not one each.
"""


@dataclass(frozen=True, slots=True)
class Post:
    """What a worker works with beside its topic, from its start on."""

    settings: Settings
    database: Database
    trouble: Trouble
    """Its own, shown as `beside` in readiness; `trouble.stopping` is set when the process stops."""
    partition_count: int
    partitions: Callable[[], frozenset[int]]
    """Those of the topic that this worker was given; another object after each sharing out. None
    before the first, which may take seconds after a worker has died without saying so. In the
    midst of one, which lasts for seconds after a worker has died, they are those of before."""
    wake: asyncio.Event
    """Set when `partitions` may give another object, and when the process stops. The worker may set
    it too; whoever waits for it clears it first."""


Beside = Callable[[Post], Awaitable[None]]
"""Runs beside the topic until the process stops, and returns soon after that or raises
`StoppingError`. Any other error ends the process, to be started again."""


Trace = Callable[[Database, UUID], Awaitable[Mapping[str, object] | None]]
"""Gives what an event's effects are in the tables, for an operator who asks; None for no effects.
Nothing of a user's own words is in it."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a worker can explain beside events: `tell` takes an id, and whether as JSON."""

    noun: str
    tell: Callable[[Database, UUID, bool], Awaitable[str | None]]
    """None for an id that is no such thing's."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that turns one topic's events into rows."""

    app: str
    topic: Topic
    types: frozenset[str]
    """Well-formed events of other types are skipped and counted."""
    apply: Apply
    beside: Beside | None = None
    committed: Callable[[], None] | None = None
    """Called after each transaction that has written effects: who waits for them may look now."""
    trace: Trace | None = None
    subject: Subject | None = None
