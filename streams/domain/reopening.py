"""A completed task that was reopened: whether its user is to be told that its successor stays."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from schemas.tasks import Status, Task
from streams.domain.succession import Link, Reopened, Verdict


@dataclass(frozen=True, slots=True)
class Kept:
    """Two tasks that both stay, and the event of the reopening that makes it worth saying."""

    event_id: UUID
    reopened: Task
    successor: Task


def noticed(link: Link, seen: Reopened | None) -> Link:
    """Note a reopening of the predecessor; one that is not later than the last changes nothing."""
    if seen is None or (link.reopened and link.reopened.version >= seen.version):
        return link
    return replace(link, reopened=seen)


def settled(
    link: Link, verdict: Verdict | None, tasks: Mapping[UUID, Task]
) -> tuple[Link, Kept | None]:
    """Give a link as it is after a verdict on its successor, and what is to be said.

    Each reopening is settled once, by the first verdict after it: also if the task was changed
    again before the worker came. Without a verdict it waits for the event that brings one.
    """
    task, successor = tasks.get(link.predecessor_id), tasks.get(link.successor_id)
    if verdict is None or link.reopened is None or link.reopened.event_id is None:
        return link, None
    if task is None or task.status is not Status.PENDING or task.deleted_at is not None:
        return link, None
    kept = None
    if verdict is Verdict.KEPT and successor is not None and successor.deleted_at is None:
        kept = Kept(link.reopened.event_id, task, successor)
    return replace(link, reopened=replace(link.reopened, event_id=None)), kept
