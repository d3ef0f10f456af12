"""What each client of a campaign was told, and when, by this process's own clock."""

from collections import Counter
from dataclasses import dataclass, field
from uuid import UUID

from schemas.codec import JsonObject


@dataclass(frozen=True, slots=True)
class Write:
    """A write that a client sent; without an answer nobody knows whether it happened."""

    user_id: UUID
    kind: str
    task_id: UUID | None
    """Unknown of a create without an answer; its title says which it was."""
    title: str | None
    sent_at: float
    answered_at: float
    told: JsonObject | None
    """The task as the answer had it."""


@dataclass(slots=True)
class Visit:
    """What a websocket client was given from one point on, without being told of a gap."""

    after: str | None
    """Why it was told to load afresh; None of the first."""
    events: list[UUID] = field(default_factory=list)


@dataclass(slots=True)
class Heard:
    """All that one websocket client was given."""

    user_id: UUID
    visits: list[Visit] = field(default_factory=lambda: [Visit(None)])
    foreign: list[UUID] = field(default_factory=list)
    """Events of another user, of which there must be none."""
    resumed: int = 0


@dataclass(slots=True)
class History:
    """The whole campaign, as its clients saw it."""

    writes: list[Write] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)
    """Reads that did not show what their own client had been told before."""
    trespasses: list[str] = field(default_factory=list)
    """Requests for another user's data that were not answered as if it did not exist."""
    odd: list[str] = field(default_factory=list)
    """Answers that the contract does not have."""
    counts: Counter[str] = field(default_factory=Counter)
    poison: int = 0
    """Messages put into `task-events` that no worker can process."""

    @property
    def answered(self) -> list[Write]:
        """The writes whose outcome the client knows."""
        return [write for write in self.writes if write.told is not None]
