"""The checker: decides each of the six guarantees from what clients were told and what is there.

It is pure, and knows nothing of how TaskFlow does what it promises.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from tests.campaign.evidence import Event, Evidence, TaskState
from tests.campaign.history import Heard, History, Write

LEFT_AFTER = timedelta(seconds=60)
"""A reminder may stay unfired if its task changed within this after the instant: all may have been
away for so long."""
RACE = timedelta(seconds=10)
"""A write that waited for a lock may carry an instant from before it."""
SHOWN_MAX = 5


@dataclass(frozen=True, slots=True)
class Violation:
    """A guarantee that does not hold, and the least that shows it."""

    guarantee: int
    what: str

    def __str__(self) -> str:
        return f"guarantee {self.guarantee}: {self.what}"


def check(history: History, evidence: Evidence) -> Sequence[Violation]:
    """Give every violation, the guarantees in their order."""
    checks = (
        (1, _lost_or_made_up(history, evidence)),
        (1, _sinks(history, evidence)),
        (2, _order(history, evidence)),
        (3, _successors(evidence)),
        (4, _reminders(evidence)),
        (5, _listeners(history, evidence)),
        (6, _strangers(history, evidence)),
    )
    return [Violation(number, what) for number, found in checks for what in found]


def _lost_or_made_up(history: History, evidence: Evidence) -> Iterator[str]:
    """Every write that was answered is there as it was told, and there is none that nobody sent."""
    by_task = _by_task(evidence.events)
    yield from history.odd
    yield from (f"a read was stale: {what}" for what in history.stale)
    for write in history.answered:
        if what := _loss(write, by_task):
            yield what
    known = {task.id: task for task in evidence.tasks}
    for task_id in by_task.keys() - known.keys():
        yield f"the log has task {task_id}, and the table has not"
    allowed = _unconfirmed(history)
    for task in evidence.tasks:
        versions = by_task.get(task.id, {})
        if sorted(versions) != list(range(1, task.version + 1)):
            yield f"task {task.id} is at {task.version}, and the log has {sorted(versions)}"
        elif (last := versions[task.version].task) is None or last.whole != task.whole:
            yield f"task {task.id} is not as its last event has it"
        told = allowed.told.get(task.id, set())
        extra = [n for n, event in versions.items() if event.by_user and n not in told]
        if len(extra) > allowed.count(task, versions):
            yield f"nobody sent versions {extra} of task {task.id}"


def _loss(write: Write, by_task: dict[UUID, dict[int, Event]]) -> str | None:
    told = write.told or {}
    versions = by_task.get(UUID(str(told["id"])), {})
    if write.kind == "delete":
        deleted = any(event.type.endswith(".deleted") for event in versions.values())
        return None if deleted else f"an answered delete is lost: {told['id']}"
    event = versions.get(int(str(told["version"])))
    if event is None or event.task is None:
        return f"an answered {write.kind} is lost: {told['id']} version {told['version']}"
    if event.task.whole != told:
        return f"{told['id']} version {told['version']} is not what its client was told"
    return None


@dataclass(frozen=True, slots=True)
class _Unconfirmed:
    """What may be in the log beside what was told: writes without an answer, and deletes."""

    told: dict[UUID, set[int]]
    by_id: Counter[UUID]
    titles: Counter[str]

    def count(self, task: TaskState, versions: dict[int, Event]) -> int:
        first = versions[min(versions)].task if versions else None
        return self.by_id[task.id] + (self.titles[first.title] if first else 0)


def _unconfirmed(history: History) -> _Unconfirmed:
    told: dict[UUID, set[int]] = defaultdict(set)
    by_id: Counter[UUID] = Counter()
    titles: Counter[str] = Counter()
    for write in history.writes:
        if write.told is not None and "version" in write.told:
            told[UUID(str(write.told["id"]))].add(int(str(write.told["version"])))
        elif write.task_id is not None:
            by_id[write.task_id] += 1
        elif write.title is not None:
            titles[write.title] += 1
    return _Unconfirmed(told, by_id, titles)


def _sinks(history: History, evidence: Evidence) -> Iterator[str]:
    """Every event reaches every sink exactly once in effect."""
    if evidence.outbox:
        yield f"{evidence.outbox} rows were left in the outbox"
    yield from evidence.behind
    yield from evidence.backward
    events = {event.id: event for event in evidence.events}
    yield from _difference("the audit log", Counter(i for i, _ in evidence.audited), events)
    for event_id, task in evidence.audited:
        event = events.get(event_id)
        if event and event.task and event.task.whole != task:
            yield f"the audit log has another task than event {event_id}"
    updates = {event.id for event in evidence.updates}
    if missing := events.keys() - updates:
        yield f"task-updates lacks {len(missing)} events, as {next(iter(missing))}"
    due = {event.id for event in evidence.reminders if event.remind_at}
    yield from _difference("notifications", Counter(evidence.notified), due)
    yield from _difference("the ledger", Counter(one.event_id for one in evidence.firings), due)
    for app, count in evidence.dead.items():
        if count != history.poison:
            yield f"{app} has {count} dead letters, and {history.poison} messages were poison"


def _difference(sink: str, has: Counter[UUID], wanted: Iterable[UUID]) -> Iterator[str]:
    wanted = set(wanted)
    if missing := wanted - has.keys():
        yield f"{sink} lacks {len(missing)} of {len(wanted)} events, as {next(iter(missing))}"
    if extra := has.keys() - wanted:
        yield f"{sink} has {len(extra)} that the log has not, as {next(iter(extra))}"
    if twice := [event_id for event_id, count in has.items() if count > 1]:
        yield f"{sink} has {len(twice)} events more than once, as {twice[0]}"


def _order(history: History, evidence: Evidence) -> Iterator[str]:
    """Version order for a task, real-time order for a user, in each topic."""
    told: dict[tuple[UUID, int], Write] = {}
    for write in history.answered:
        if write.told is not None and "version" in write.told:
            # The first that was told of a version wrote it: what changes nothing is told it again.
            told.setdefault((UUID(str(write.told["id"])), int(str(write.told["version"]))), write)
    for topic, events in (("task-events", evidence.events), ("task-updates", evidence.updates)):
        yield from _versions_in_order(topic, events)
        yield from _real_time(topic, events, told)


def _versions_in_order(topic: str, events: Sequence[Event]) -> Iterator[str]:
    newest: dict[UUID, int] = {}
    for event in events:
        if event.task is None or event.remind_at:
            continue
        before = newest.get(event.task.id, 0)
        if event.task.version != before + 1:
            yield (
                f"in {topic}, {event.task.id} has version {event.task.version} after {before}"
                f" at {event.place}"
            )
        newest[event.task.id] = event.task.version


def _real_time(
    topic: str, events: Sequence[Event], told: dict[tuple[UUID, int], Write]
) -> Iterator[str]:
    newest_sent: dict[UUID, float] = {}
    seen: set[tuple[UUID, int]] = set()
    for event in events:
        if event.task is None or event.remind_at:
            continue
        key = event.task.id, event.task.version
        write = told.get(key)
        if write is None or key in seen:
            continue
        seen.add(key)
        sent = newest_sent.get(event.user_id, 0.0)
        if write.answered_at < sent:
            yield f"in {topic}, {key} at {event.place} stands behind what was sent after its answer"
        newest_sent[event.user_id] = max(sent, write.sent_at)


def _successors(evidence: Evidence) -> Iterator[str]:
    """A completed recurring task has exactly one successor, and a pending one has none that lives.

    The campaign's clients leave successors alone.
    """
    rows: dict[tuple[UUID, int], list[TaskState]] = defaultdict(list)
    for task in evidence.tasks:
        if task.series:
            rows[task.series].append(task)
    for (series, number), tasks in rows.items():
        if len(tasks) > 1:
            yield f"series {series} has number {number} {len(tasks)} times"
        task = tasks[0]
        if task.deleted:
            continue
        live = [one for one in rows.get((series, number + 1), []) if not one.deleted]
        if len(live) != (0 if task.pending else 1):
            state = "pending" if task.pending else "completed"
            yield f"{task.id} is {state}, and {len(live)} successors live"


def _reminders(evidence: Evidence) -> Iterator[str]:
    """Each fires once, never early, for a state that its task then had, and none is forgotten."""
    by_task = _by_task(evidence.events)
    fired: Counter[tuple[UUID, datetime]] = Counter()
    for event in evidence.reminders:
        if event.remind_at is None or event.fired_at is None or event.task is None:
            continue
        fired[event.task.id, event.remind_at] += 1
        if event.fired_at < event.remind_at:
            yield f"{event.task.id} was reminded of {event.remind_at} early, at {event.fired_at}"
        if what := _wrong_state(event, event.task, by_task.get(event.task.id, {})):
            yield what
    for (task_id, at), count in fired.items():
        if count > 1:
            yield f"{task_id} was reminded of {at} {count} times"
    for task_id, versions in by_task.items():
        states = [event.task for _, event in sorted(versions.items()) if event.task]
        for at in _must_fire(states):
            if not fired[task_id, at]:
                yield f"{task_id} was never reminded of {at}: {_life(states)}"


def _life(states: Sequence[TaskState]) -> str:
    """Tell a task's versions in a line."""
    return "; ".join(
        f"{state.version} at {state.updated_at:%H:%M:%S.%f}"
        f" {'deleted' if state.deleted else 'pending' if state.pending else 'completed'}"
        f" {state.remind_at:%H:%M:%S.%f}"
        if state.remind_at
        else f"{state.version} without"
        for state in states
    )


def _wrong_state(event: Event, shown: TaskState, versions: dict[int, Event]) -> str | None:
    if not shown.pending or shown.deleted or shown.remind_at != event.remind_at:
        return f"{shown.id} was reminded of {event.remind_at} in version {shown.version}"
    later = versions.get(shown.version + 1)
    if later is None or later.task is None or event.fired_at is None:
        return None
    if later.task.updated_at < event.fired_at - RACE:
        return f"{shown.id} was reminded for version {shown.version}, which was gone"
    return None


def _must_fire(states: Sequence[TaskState]) -> Iterator[datetime]:
    """Give the instants at which the task was pending with this very reminder, and stayed so."""
    begun: TaskState | None = None
    for index, state in enumerate(states):
        is_planned = state.pending and not state.deleted and state.remind_at is not None
        if not is_planned:
            begun = None
            continue
        if begun is None or begun.remind_at != state.remind_at:
            begun = state
        later = states[index + 1] if index + 1 < len(states) else None
        if later and later.pending and not later.deleted and later.remind_at == state.remind_at:
            continue
        at = state.remind_at
        assert at is not None
        was_set = begun.version == 1 or states[begun.version - 2].remind_at != at
        in_time = begun.updated_at <= at or was_set
        stayed = later is None or later.updated_at > at + LEFT_AFTER
        if in_time and stayed and _was_planned_before(at, states[-1]):
            yield at


def _was_planned_before(at: datetime, last: TaskState) -> bool:
    """Successors are reminded of weeks from now: only what fell due in the campaign counts."""
    return at < last.updated_at + timedelta(seconds=30)


def _listeners(history: History, evidence: Evidence) -> Iterator[str]:
    """Whoever listens gets every event once and in order, or is told to load afresh."""
    wanted: dict[UUID, list[UUID]] = defaultdict(list)
    for event in evidence.updates:
        wanted[event.user_id].append(event.id)
    for number, heard in enumerate(history.heard):
        yield from (f"listener {number}: {what}" for what in _gaps(heard, wanted[heard.user_id]))


def _gaps(heard: Heard, wanted: Sequence[UUID]) -> Iterator[str]:
    places = {event_id: place for place, event_id in enumerate(wanted)}
    next_place = 0
    for visit in heard.visits:
        if visit.after is not None and visit.events:
            next_place = places.get(visit.events[0], next_place)
        for event_id in visit.events:
            place = places.get(event_id)
            if place != next_place:
                yield f"{event_id} came at place {place} of its user's, and {next_place} was next"
                return
            next_place += 1
    if next_place != len(wanted):
        yield f"the last {len(wanted) - next_place} of {len(wanted)} events never came"


def _strangers(history: History, evidence: Evidence) -> Iterator[str]:
    """Nothing lets one user see or change what is another's."""
    yield from (f"another user's data was reached: {what}" for what in history.trespasses)
    for heard in history.heard:
        if heard.foreign:
            yield f"{heard.user_id} was sent {len(heard.foreign)} events of others"
    for event in evidence.events:
        if event.task and event.task.user_id != event.user_id:
            yield f"event {event.id} is keyed by {event.user_id}, and its task is another's"


def _by_task(events: Sequence[Event]) -> dict[UUID, dict[int, Event]]:
    found: dict[UUID, dict[int, Event]] = defaultdict(dict)
    for event in events:
        if event.task and not event.remind_at:
            found[event.task.id][event.task.version] = event
    return found
