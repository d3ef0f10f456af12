"""The recurrence worker: a recurring task that is completed has one successor, whatever happens.

`faust -A streams.recurrence worker -l info` runs it, and `faust -A streams.recurrence explain TASK`
tells why a successor is there or not.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from pydantic import ValidationError

from schemas.events import Actor, ActorKind, Envelope, TaskChange, TaskEventType
from schemas.tasks import Task
from schemas.topics import TASK_EVENTS
from streams.domain.deliveries import kept_notification_id
from streams.domain.explaining import explain_task
from streams.domain.messages import kept_message
from streams.domain.overrides import in_series
from streams.domain.reopening import Kept, noticed, settled
from streams.domain.succession import (
    Link,
    Reopened,
    Step,
    Verdict,
    known_of,
    reconcile,
    wanted_id,
)
from streams.domain.zones import zone_named
from streams.effects.faust_app import faust_app
from streams.effects.reading import Event, PoisonError, first_rule, read_each
from streams.effects.worker import Post, Subject, Worker
from streams.observability.metrics import RECURRENCE_STEPS
from streams.store.bell import Bell, open_bell
from streams.store.database import Database, Session
from streams.store.inherited import Heir, inherit_reminders
from streams.store.notifications import NewNotification, insert_notifications
from streams.store.succession import (
    Held,
    NewLink,
    count_waiting,
    find_tasks,
    hold_tags,
    hold_tasks,
    links_of,
    record_links,
    record_reopened,
)
from streams.store.tasks import Origin, insert_task_once, update_task
from streams.store.tracing import successor_rows_of

_APP = "recurrence"
_TYPES = frozenset(
    {
        TaskEventType.COMPLETED,
        TaskEventType.REOPENED,
        TaskEventType.UPDATED,
        TaskEventType.DELETED,
        TaskEventType.RESTORED,
    }
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """A change of a task, as an event tells it."""

    envelope: Envelope
    change: TaskChange


@dataclass(slots=True)
class Recurrence:
    """Keeps the successors of recurring tasks as they should be."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _bell: Bell | None = field(default=None)

    async def apply(self, session: Session, events: Sequence[Event]) -> None:
        """Bring the successors of these events' tasks in line with what the tasks are now.

        Of a task that has changed since its event nothing is done: a later event tells of it. So
        an event that comes again, or late, changes nothing.
        """
        all_told = read_each(events, told_by)
        newest = _newest(all_told)
        stored = await links_of(session, newest)
        reopened = _reopened(all_told)
        links = [noticed(link, reopened.get(link.predecessor_id)) for link in stored]
        newest = _concerned(newest, links)
        if not newest:
            return
        wanted = {wanted_id(told.change.task) for told in newest.values()} - {None}
        ids = newest.keys() | {link.successor_id for link in links} | wanted
        held = await hold_tasks(session, [task_id for task_id in ids if task_id])
        steps = [
            (told, step)
            for task_id, told in newest.items()
            for step in self._decide(held.get(task_id), told, held, links)
        ]
        await hold_tags(session, [pair for told, step in steps for pair in _tags(told, step)])
        await _write_all(session, steps, held)
        await _settle(session, held, steps, stored, links)

    async def keep_bell(self, post: Post) -> None:
        """Ring for the relay after what is written, until the process stops."""
        async with open_bell(post.database) as self._bell:
            await post.trouble.stopping.wait()

    def committed(self) -> None:
        """Wake the relay."""
        if self._bell is not None:
            self._bell.ring()

    def _decide(
        self, own: Held | None, told: Told, held: Mapping[UUID, Held], links: Sequence[Link]
    ) -> Sequence[Step]:
        if own is None or own.task.version != told.change.task.version:
            return ()
        known, meant = known_of(own.task, {key: one.task for key, one in held.items()}, links)
        steps = list(reconcile(own.task, meant, known, zone_named(own.timezone), self.now()))
        for step in steps:
            RECURRENCE_STEPS.labels(step.verdict.name.lower()).inc()
            if step.verdict is Verdict.KEPT:
                _log.info("successor %s of %s: %s", step.successor_id, own.task.id, step.verdict)
        return steps


def told_by(event: Event) -> Told:
    """Read an event's change; raise `PoisonError` if its data is none."""
    try:
        change = TaskChange.model_validate(event.envelope.data)
    except ValidationError as error:
        raise PoisonError(f"/data{first_rule(error)}") from None
    if change.task.user_id != event.envelope.partitionkey:
        raise PoisonError("the task is not of the user that the envelope names")
    return Told(event.envelope, change)


def _newest(all_told: Sequence[Told]) -> dict[UUID, Told]:
    newest: dict[UUID, Told] = {}
    for told in sorted(all_told, key=lambda told: told.change.task.version):
        newest[told.change.task.id] = told
    return newest


def _reopened(all_told: Sequence[Told]) -> Mapping[UUID, Reopened]:
    """Give the last reopening of each task, whether or not the task was changed again since."""
    return {
        told.change.task.id: Reopened(told.change.task.version, told.envelope.id)
        for told in sorted(all_told, key=lambda told: told.change.task.version)
        if told.envelope.type == TaskEventType.REOPENED
    }


def _concerned(newest: Mapping[UUID, Told], links: Sequence[Link]) -> dict[UUID, Told]:
    """Leave out the tasks that neither recur nor have a successor."""
    have_one = {link.predecessor_id for link in links}
    return {
        task_id: told
        for task_id, told in newest.items()
        if told.change.task.series_id is not None or task_id in have_one
    }


def _tags(told: Told, step: Step) -> Sequence[tuple[UUID, str]]:
    if step.change is None:
        return ()
    return [(told.change.task.user_id, name) for name in step.change.draft.fields.tags]


async def _write_all(
    session: Session, steps: Sequence[tuple[Told, Step]], held: Mapping[UUID, Held]
) -> None:
    """Write what is to be written, and then what the worker must know of it later."""
    links: list[NewLink] = []
    heirs: list[Heir] = []
    for told, step in steps:
        if written := await _write(session, told, step):
            links.append(_link(told, step, written))
            if step.verdict is Verdict.MADE:
                own = held[told.change.task.id]
                heirs.append(Heir(written, in_series(own.task), zone_named(own.timezone)))
    if links:
        await record_links(session, links)
    await inherit_reminders(session, heirs)


async def _settle(
    session: Session,
    held: Mapping[UUID, Held],
    steps: Sequence[tuple[Told, Step]],
    stored: Sequence[Link],
    links: Sequence[Link],
) -> None:
    """Tell users what stays though they reopened a task, and record that they were told."""
    tasks = {task_id: one.task for task_id, one in held.items()}
    verdicts = {(told.change.task.id, step.successor_id): step.verdict for told, step in steps}
    after = [
        settled(link, verdicts.get((link.predecessor_id, link.successor_id)), tasks)
        for link in links
    ]
    changed = [link for old, (link, _) in zip(stored, after, strict=True) if link != old]
    await record_reopened(session, changed)
    if told_now := [_notification(kept) for _, kept in after if kept]:
        await insert_notifications(session, told_now)


def _notification(kept: Kept) -> NewNotification:
    message = kept_message(kept.reopened, kept.successor)
    return NewNotification(
        id=kept_notification_id(kept.event_id, kept.successor.id),
        user_id=kept.reopened.user_id,
        event_id=kept.event_id,
        type=TaskEventType.REOPENED,
        task_id=kept.reopened.id,
        title=message.title,
        body=message.body,
    )


async def _write(session: Session, told: Told, step: Step) -> Task | None:
    """Write one successor and its event; None if there is nothing to write."""
    if step.change is None:
        return None
    actor = Actor(kind=ActorKind.WORKER, id=_APP)
    origin = Origin(actor, told.envelope.traceparent, f"/taskflow/{_APP}")
    if step.existing is not None:
        return await update_task(session, step.existing, step.change, origin)
    user_id = told.change.task.user_id
    return await insert_task_once(session, step.successor_id, user_id, step.change, origin)


def _link(told: Told, step: Step, written: Task) -> NewLink:
    link = Link(
        successor_id=written.id,
        predecessor_id=told.change.task.id,
        version=written.version,
        withdrawn=written.deleted_at is not None,
        distance=step.distance,
    )
    return NewLink(link, written.user_id, told.envelope.id)


async def explain(database: Database, wanted: UUID, as_json: bool) -> str | None:  # noqa: FBT001 - as a Subject tells
    """Tell why a recurring task has a successor or not; None if there is no such task."""
    own = (await find_tasks(database, [wanted])).get(wanted)
    if own is None:
        return None
    links = await links_of(database, [wanted])
    ids = {link.successor_id for link in links} | {wanted_id(own.task)} - {None}
    found = await find_tasks(database, [one for one in ids if one])
    known, meant = known_of(own.task, {key: one.task for key, one in found.items()}, links)
    steps = reconcile(own.task, meant, known, zone_named(own.timezone), datetime.now(UTC))
    told = explain_task(own.task, list(steps), await count_waiting(database, wanted))
    return told.as_json() if as_json else told.as_text()


async def trace(database: Database, event_id: UUID) -> Mapping[str, object] | None:
    """Give the successors that were written last by this event."""
    rows = await successor_rows_of(database, event_id)
    return {"successors": rows} if rows else None


recurrence = Recurrence()
app = faust_app(
    Worker(
        app=_APP,
        topic=TASK_EVENTS,
        types=_TYPES,
        apply=recurrence.apply,
        beside=recurrence.keep_bell,
        committed=recurrence.committed,
        trace=trace,
        subject=Subject("task", explain),
    )
)
