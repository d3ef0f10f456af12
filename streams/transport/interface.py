"""The transport's interface: what stands where the sidecars stood, and what it promises.

**Order.** Records of one partition are read in the order of their offsets. Messages with one key go
to one partition (`schemas.partitions`). What one `publish_many` call carries for one partition is
appended in the given order; after the first that fails, none of that partition's later messages of
the call is sent. Two calls that run at once have no order between them: await one before the next.

**Delivery.** At least once. A publish that raised may have happened, and may even happen later.
A subscription's records come again, to some member of the group, unless they were committed.

**What `await` means.** When a publish returns, the record is on every replica that must have it
(acks=all) and its place is known. When a commit returns, the group's position is stored.

**Limits.** A message is at most its topic's `message_bytes_max`, key and value and headers
together; a larger one raises `MessageTooLargeError` and would do so every time. Reads give at most
the `records_max` asked for, and at most a few MiB are fetched ahead: a reader that does not read
holds up nobody but itself. Every wait ends: with `TransportUnavailableError` after the
implementation's timeout, or at a read's own `timeout_s` with no records.

**Errors.** All are `TransportError`s. `UnknownTopicError` is raised at once by every call that
names a topic that was not created; no topic is ever made by being named.

**Closing.** `aclose` waits for what is being published, within its timeout, ends all subscriptions
and tails, and may be called twice. Every call after it raises `TransportClosedError`, and so do
reads that were waiting. **Cancellation** of a read loses nothing; that of a publish leaves its
outcome unknown.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from schemas.topics import Topic

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Message:
    """What is to be published; `partition` is chosen by the key unless it is given."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands."""

    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Record:
    """What was read; key and value are None where a stranger wrote none."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int


@dataclass(frozen=True, slots=True)
class Extent:
    """What a partition holds: offsets from `start` up to but not including `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class TopicState:
    """What a topic is: its partitions, the copies of each, and its settings by Kafka's names."""

    partitions: int
    replication: int
    configs: Mapping[str, str]


class TransportError(Exception):
    """The base of all that a transport raises."""


class TransportUnavailableError(TransportError):
    """The log did not answer in time, or refused for now; the outcome of a publish is unknown."""


class TransportClosedError(TransportError):
    """The transport was closed, here or by the other side of a reader."""


class UnknownTopicError(TransportError):
    """The topic was not created; `taskflow topics` creates all of them."""


class MessageTooLargeError(TransportError):
    """The message is over its topic's limit, and will be every time."""


class NotAttemptedError(TransportError):
    """An earlier message of this call and partition failed, so this one was not sent."""


class OffsetOutOfRangeError(TransportError):
    """The place asked for is not in the log: before its start, or behind its end."""


class Subscription(Protocol):
    """One member of a group; each record of the topic goes to one member at a time."""

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        """Give the next records, or none when the time is over; a new group begins at the start."""
        ...

    async def commit(self, records: Sequence[Record]) -> None:
        """Move the group behind these records: of each partition, the last that was processed."""
        ...


class Tail(Protocol):
    """A reader without a group: it goes from its positions on, and keeps nothing."""

    async def read(self, records_max: int, timeout_s: float) -> Sequence[Record]:
        """Give the next records, or none when the time is over.

        Raises `OffsetOutOfRangeError` when a position has left the log.
        """
        ...


class Transport(Protocol):
    """The log, as every process of TaskFlow uses it."""

    async def create_topics(self, topics: Sequence[Topic]) -> Sequence[str]:
        """Create those that do not exist, give their names, and leave the others as they are.

        They can be used as soon as this returns.
        """
        ...

    async def describe_topics(self, topics: Sequence[Topic]) -> Mapping[str, TopicState]:
        """Give what those are that exist, by name; one that does not exist is not there."""
        ...

    async def alter_topics(self, topics: Sequence[Topic]) -> None:
        """Give topics that exist the settings that `Topic.configs` names.

        Records, partitions, copies, and every other setting stay as they are. It holds for what is
        published through this transport as soon as this returns, and for others within seconds.
        """
        ...

    async def clock_skew_s(self) -> float | None:
        """Give how far the log's clock is ahead of this process's; None if it does not tell."""
        ...

    async def publish(self, message: Message) -> Place:
        """Append one message, or raise."""
        ...

    async def publish_many(self, messages: Sequence[Message]) -> Sequence[Place | TransportError]:
        """Append many, partitions side by side; give each message's place or error, in order."""
        ...

    def subscribe(self, topic: str, group: str) -> AbstractAsyncContextManager[Subscription]:
        """Join a group; leaving the context gives the partitions to the others at once."""
        ...

    def tail(self, topic: str, positions: Mapping[int, int]) -> AbstractAsyncContextManager[Tail]:
        """Read these partitions, each from its offset on."""
        ...

    async def extents(self, topic: str) -> Mapping[int, Extent]:
        """Give the extent of every partition."""
        ...

    async def offsets_since(self, topic: str, at_ms: int) -> Mapping[int, int]:
        """Give, of each partition, the first offset written at an instant or later; else its end.

        The instant is in milliseconds since 1970, by the clock of whoever published.
        """
        ...

    async def check(self) -> None:
        """Return if the log answers now; raise `TransportUnavailableError` if it does not."""
        ...

    async def aclose(self) -> None:
        """Close, as the module says."""
        ...
