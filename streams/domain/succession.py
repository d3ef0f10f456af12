"""Which task follows a recurring one: what the recurrence worker makes of the two, and why.

Pure in the task, what is known of its successors, the user's zone and the clock. It depends on the
task as it is now and not on the way there: complete, reopen, complete ends with one successor.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from schemas.events import TaskEventType
from schemas.tasks import Status, Task
from streams.domain.overrides import Meant, client_fields, in_series, meant_by
from streams.domain.series import following_anchor, next_day, next_day_if_on_time
from streams.domain.tasks import Change, Draft, delete, draft_of, rewrite
from streams.domain.zones import Distance, day_of, distance_of, instant_at


class Verdict(StrEnum):
    """What is done about a successor; explained in the words of its value."""

    MADE = "it is made"
    BROUGHT_BACK = "it was withdrawn, and is brought back"
    RENEWED = "nobody has touched it, so it follows what its predecessor is now"
    RIGHT = "it is there as it should be"
    WITHDRAWN = "nobody has touched it, so it is withdrawn"
    GONE = "it was withdrawn, and stays so"
    KEPT = "somebody has changed it, so it is left as it is"


@dataclass(frozen=True, slots=True)
class Reopened:
    """The last reopening of a task that the worker has seen, by the version that it gave."""

    version: int
    event_id: UUID | None
    """None when what came of it has been decided, and said if there was something to say."""


@dataclass(frozen=True, slots=True)
class Link:
    """What the worker has written of a successor last."""

    successor_id: UUID
    predecessor_id: UUID
    version: int
    withdrawn: bool
    distance: Distance | None
    """Where its reminder was meant to be."""
    reopened: Reopened | None = None
    """Of the predecessor."""


@dataclass(frozen=True, slots=True)
class Known:
    """A successor as the tables have it.

    Without a link somebody else made it, or it has another predecessor; without a task it is gone
    for good.
    """

    link: Link | None
    task: Task | None

    @property
    def untouched(self) -> bool:
        """Whether the worker was the last who wrote it."""
        return bool(self.link and self.task and self.task.version == self.link.version)


@dataclass(frozen=True, slots=True)
class Step:
    """A verdict on one successor; with a change, that is to be written, and then its link."""

    successor_id: UUID
    verdict: Verdict
    change: Change | None = None
    existing: Task | None = None
    distance: Distance | None = None


def successor_id(series_id: UUID, occurrence: int) -> UUID:
    """Give the id of a series' occurrence: the same for whoever makes it, however often."""
    return uuid5(series_id, str(occurrence))


def wanted_id(task: Task) -> UUID | None:
    """Give the id that the successor of a recurring task has; None if it does not recur."""
    if task.series_id is None or task.occurrence is None:
        return None
    return successor_id(task.series_id, task.occurrence + 1)


def reconcile(
    task: Task, meant: Distance | None, known: Mapping[UUID, Known], zone: ZoneInfo, now: datetime
) -> Iterator[Step]:
    """Compare a task with its successors, and give what is to be done for each.

    A completed one has its successor, unless the series ends with it; a pending one has none.
    `meant` is where the task's own reminder was to be, if the worker made it. Whether the task is
    deleted does not matter: what was completed stays so.
    """
    draft, distance = _wanted(task, meant, zone)
    own_id = wanted_id(task) if draft else None
    if draft and own_id:
        yield _have(own_id, known.get(own_id, Known(None, None)), draft, distance)
    for other_id, other in known.items():
        if other_id != own_id and other.link is not None:
            yield _have_not(other_id, other, now)


def _have(own_id: UUID, found: Known, draft: Draft, distance: Distance | None) -> Step:
    if found.task is None and found.link is None:
        change = Change(draft, TaskEventType.CREATED, ())
        return Step(own_id, Verdict.MADE, change, None, distance)
    if found.task is None or not found.untouched:
        return Step(own_id, Verdict.KEPT)
    withdrawn = found.task.deleted_at is not None
    event_type = TaskEventType.RESTORED if withdrawn else TaskEventType.UPDATED
    change_back = rewrite(found.task, draft, event_type)
    if change_back is None:
        return Step(own_id, Verdict.RIGHT)
    verdict = Verdict.BROUGHT_BACK if withdrawn else Verdict.RENEWED
    return Step(own_id, verdict, change_back, found.task, distance)


def _have_not(other_id: UUID, found: Known, now: datetime) -> Step:
    if found.link and found.link.withdrawn and found.untouched:
        return Step(other_id, Verdict.GONE)
    if found.task is None or not found.untouched:
        return Step(other_id, Verdict.KEPT)
    change = delete(found.task, now)
    distance = found.link.distance if found.link else None
    return Step(other_id, Verdict.WITHDRAWN, change, found.task, distance)


def _wanted(
    task: Task, meant: Distance | None, zone: ZoneInfo
) -> tuple[Draft | None, Distance | None]:
    """Give the successor that a task should have, and where its reminder is meant to be."""
    if task.status is not Status.COMPLETED or task.completed_at is None:
        return None, None
    of_series = in_series(task)
    next_on = next_day(of_series, day_of(task.completed_at, zone))
    if next_on is None:
        return None, None
    distance = _distance(meant_by(task), meant, zone)
    remind_at = instant_at(next_on, distance, zone) if distance else None
    return _draft(of_series, next_on, remind_at), distance


def _draft(task: Task, next_on: date, remind_at: datetime | None) -> Draft:
    anchor = following_anchor(task, next_on)
    fields = client_fields(task).model_copy(update={"due_date": next_on, "remind_at": remind_at})
    return replace(
        draft_of(task),
        fields=fields,
        status=Status.PENDING,
        completed_at=None,
        deleted_at=None,
        recurrence_anchor=anchor,
        next_occurrence=next_day_if_on_time(fields, anchor),
        occurrence=(task.occurrence or 1) + 1,
    )


def _distance(series: Meant, meant: Distance | None, zone: ZoneInfo) -> Distance | None:
    """Give a reminder's distance as it was meant, if it still is where that put it."""
    remind_at, remind_from = series.fields.remind_at, series.remind_from
    if remind_at is None:
        return None
    if meant and remind_from and instant_at(remind_from, meant, zone) == remind_at:
        return meant
    return distance_of(remind_at, remind_from, zone)


def known_of(
    task: Task, tasks: Mapping[UUID, Task], links: Sequence[Link]
) -> tuple[Mapping[UUID, Known], Distance | None]:
    """Give what is known of a task's successors, and where its own reminder was meant to be."""
    known = {
        link.successor_id: Known(link, tasks.get(link.successor_id))
        for link in links
        if link.predecessor_id == task.id
    }
    own_id = wanted_id(task)
    if own_id is not None and own_id in tasks and own_id not in known:
        known[own_id] = Known(None, tasks[own_id])
    meant = next((link.distance for link in links if link.successor_id == task.id), None)
    return known, meant
