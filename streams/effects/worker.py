"""What a worker is, for this layer: a name, a topic, the types it knows, and its effects."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from schemas.topics import Topic
from streams.effects.reading import Event
from streams.store.database import Session

Apply = Callable[[Session, Sequence[Event]], Awaitable[None]]
"""Writes the effects of events of one partition, in their order, within the transaction given.

It must be idempotent by event id, since the relay may publish an event twice. It raises
`PoisonError` for an event that can never be processed, with a text that is fit for a log and has
nothing of a user's in it, and lets the store's errors pass.
"""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker that turns one topic's events into rows."""

    app: str
    topic: Topic
    types: frozenset[str]
    """Well-formed events of other types are skipped and counted."""
    apply: Apply
