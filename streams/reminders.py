"""The reminders worker: each reminder fires at its instant, once, and never early.

`faust -A streams.reminders worker -l info` runs it. PostgreSQL is the truth: what is held here is a
cache of what falls due soon, and the statement that fires decides by itself.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from uuid import UUID

from pydantic import ValidationError

from schemas import codec
from schemas.events import TaskChange, TaskEventType
from schemas.ids import parse_id
from schemas.partitions import partition_of
from schemas.topics import TASK_EVENTS
from streams.domain.reminders import Planned, Window
from streams.domain.schedule import Scheduled, reason
from streams.effects.commands import add_command, flag, text_option
from streams.effects.faust_app import faust_app
from streams.effects.reading import Event, PoisonError, first_rule, read_each
from streams.effects.worker import Post, Worker
from streams.observability.metrics import (
    REMINDERS_FIRED,
    REMINDERS_HELD,
    REMINDERS_LATENESS,
    REMINDERS_SWEPT,
)
from streams.store.bell import Bell, open_bell
from streams.store.clock import DatabaseClock
from streams.store.database import Database, Fault, Session, StoreError
from streams.store.reminders import (
    LATE,
    START,
    Mark,
    fire,
    planned_after,
    planned_of_tasks,
    planned_of_users,
    prune_ledger,
    schedule_of_user,
)
from streams.store.replanned import Replanned, hear_replanned
from streams.store.tracing import firing_row_of

WINDOW = timedelta(seconds=120)
LOOK_AHEAD_S = 30.0
SWEEP_S = 0.5
SWEEP_PAGES = 5
OVERDUE = timedelta(seconds=1)
"""What the sweep finds overdue by less may have its event still on the way."""
ORPHANED = timedelta(seconds=0.75)
"""What is another worker's and overdue by this is fired here, since that one may be dead, and its
partitions move only when the group notices. So it is late by this, a sweep's pause and a firing at
the most. Three times what a worker in good order takes (250 ms at the 99th percentile); one that is
behind is helped by the others, and what two try fires once."""
DOWNTIME = timedelta(seconds=60)
"""While something is overdue by more, all were away: each fires its own then, in order."""
HELD_MAX = 20_000
"""So many are read ahead, about 10 MB; those behind them are read as they fire."""
PAGE_ROWS = 2_000
BATCH_ROWS = 500
SHOWN_MAX = 100
SEEN_MAX = 10_000
PRUNE_S = 600.0
PRUNE_AGAIN_S = 1.0

_TYPES = frozenset(type_.value for type_ in TaskEventType)
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Reminders:
    """One process's share of the reminders: those of the users whose partitions it has."""

    clock: DatabaseClock = field(default_factory=DatabaseClock)
    window: Window = field(default_factory=Window)
    _partitions: frozenset[int] = frozenset()
    _partition_count: int = 1
    _mark: Mark = START
    """Up to here all that was planned has been read."""
    _until: datetime = START.fires_at
    """Before this, what an event says is held too."""
    _goal: datetime = START.fires_at
    """Up to here all is to be read."""
    _look_ahead_at: float = 0.0
    _sweep_at: float = 0.0
    _seen: OrderedDict[UUID, int] = field(default_factory=OrderedDict)
    """The newest version of the last tasks whose events were consumed."""
    _found: dict[UUID, Planned] = field(default_factory=dict)
    """What the last sweep found."""
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def apply(self, session: Session, events: Sequence[Event]) -> None:
        """Hold what is planned by now for the tasks of these events; nothing is written.

        What moved has its new instant then, and what was cancelled is refused when it is tried.
        """
        versions = dict(read_each(events, version_of))
        if versions and self._until > START.fires_at:
            for planned in await planned_of_tasks(session, versions, self._until):
                self._hold(planned)
            self._wake.set()
        self._seen.update(versions)
        for task_id in versions:
            self._seen.move_to_end(task_id)
        while len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)

    async def keep(self, post: Post) -> None:
        """Fire what falls due, until the process stops."""
        self._wake = post.wake
        self._partition_count = post.partition_count
        async with (
            open_bell(post.database) as bell,
            hear_replanned(post.database, post.wake) as replanned,
            pruning(post.database),
        ):
            while not post.trouble.stopping.is_set():
                try:
                    await self._take_turn(post, bell, replanned)
                    post.trouble.over()
                except StoreError as error:
                    if error.fault is Fault.UNKNOWN:
                        raise
                    await post.trouble.pause(f"the database refuses: {error}")

    async def _take_turn(self, post: Post, bell: Bell, replanned: Replanned) -> None:
        post.wake.clear()
        if post.partitions() is not self._partitions or len(self.window) > 2 * HELD_MAX:
            self._begin_anew(post.partitions())
        await self._follow(post.database, replanned)
        if self._look_ahead_at <= self.clock.own_clock():
            await self._look_ahead(post.database)
        if self._can_read():
            await self._read_page(post.database)
        if due := self.window.take_due(self.clock.now(), BATCH_ROWS):
            await self._fire(post.database, due)
            bell.ring()
        elif self._sweep_at <= self.clock.own_clock():
            await self._sweep(post.database)
        elif not self._can_read():
            await self._sleep(post.wake)

    def _begin_anew(self, partitions: frozenset[int]) -> None:
        """Forget what was held, and read it again from the first that has not fired."""
        self._partitions = partitions
        self.window.clear()
        self._seen.clear()
        self._read_again()
        self._sweep_at = self._look_ahead_at + SWEEP_S

    def _read_again(self) -> None:
        """Read from the first that has not fired; what is held and stands no more is refused."""
        self._mark, self._until, self._goal = START, START.fires_at, START.fires_at
        self._look_ahead_at = self.clock.own_clock()

    async def _follow(self, database: Database, replanned: Replanned) -> None:
        """Hold what was planned anew without an event of its task, at its new instant."""
        users = replanned.take()
        if users and not replanned.everything and self._until > START.fires_at:
            try:
                page = await planned_of_users(database, users, self._until, PAGE_ROWS)
            except StoreError:
                replanned.everything = True
                raise
            for planned in page:
                self._hold(planned)
            if len(page) == PAGE_ROWS:
                replanned.everything = True
        if replanned.everything:
            replanned.everything = False
            self._read_again()

    async def _look_ahead(self, database: Database) -> None:
        """Set the instant up to which everything is to be held from now on."""
        await self.clock.measure(database)
        self._look_ahead_at = self.clock.own_clock() + LOOK_AHEAD_S
        if self._partitions:
            self._goal = max(self._goal, self.clock.now() + WINDOW)
        REMINDERS_HELD.set(len(self.window))

    def _can_read(self) -> bool:
        return self._mark.fires_at < self._goal and len(self.window) < HELD_MAX

    async def _read_page(self, database: Database) -> None:
        """Read on by one page: what is due meanwhile does not wait for all of them."""
        # Before the reading: what is committed behind the reader's back comes by its event.
        self._until = self._goal
        page = await planned_after(database, self._mark, self._goal, PAGE_ROWS)
        for planned in page:
            self._hold(planned)
        if len(page) < PAGE_ROWS:
            self._mark = Mark(self._goal, START.id)
        else:
            self._mark = Mark(page[-1].fires_at, page[-1].id)
        if not self._can_read():
            self._until = self._mark.fires_at

    async def _sweep(self, database: Database) -> None:
        """Find by the index what should have been held and was not, and what others have left."""
        self._found.clear()
        self._sweep_at = self.clock.own_clock() + SWEEP_S
        now, mark, may_be_orphans = self.clock.now(), START, True
        for _ in range(SWEEP_PAGES):
            page = await planned_after(database, mark, now - ORPHANED, PAGE_ROWS)
            for planned in page:
                may_be_orphans = may_be_orphans and planned.fires_at > now - DOWNTIME
                if self._is_missing(planned):
                    if planned.fires_at < now - OVERDUE:
                        self._found[planned.id] = planned
                        self.window.put(planned)
                elif may_be_orphans:
                    self.window.put(planned)
            if len(page) < PAGE_ROWS:
                break
            mark = Mark(page[-1].fires_at, page[-1].id)

    def _is_missing(self, planned: Planned) -> bool:
        was_read = Mark(planned.fires_at, planned.id) <= self._mark
        return was_read and self._owns(planned) and not self.window.holds(planned)

    async def _fire(self, database: Database, due: Sequence[Planned]) -> None:
        try:
            firing = await fire(database, due)
        except StoreError:
            for planned in due:
                self.window.put(planned)
            raise
        if any(planned.fires_at > firing.now for planned in due):
            self.clock.set(firing.now)
        for planned in due:
            if planned.id in firing.fired:
                self._note(planned, firing.now)
            elif planned.id in firing.standing:
                self.window.put_back(planned, firing.now)
            self._found.pop(planned.id, None)

    def _note(self, planned: Planned, fired_at: datetime) -> None:
        lateness = fired_at - planned.fires_at
        REMINDERS_FIRED.labels(str(lateness > LATE).lower()).inc()
        REMINDERS_LATENESS.observe(lateness.total_seconds())
        if planned.id not in self._found:
            return
        was_consumed = self._seen.get(planned.task_id, 0) >= planned.version
        REMINDERS_SWEPT.labels(str(was_consumed).lower()).inc()
        if was_consumed:
            _log.error("the sweep found reminder %s, whose event was consumed", planned.id)

    async def _sleep(self, wake: asyncio.Event) -> None:
        """Wait until something falls due, or is to be looked at."""
        now = self.clock.own_clock()
        pause_s = min(self._look_ahead_at, self._sweep_at) - now
        if (at := self.window.next_at()) is not None:
            pause_s = min(pause_s, (at - self.clock.now()).total_seconds())
        with suppress(TimeoutError):
            async with asyncio.timeout(max(pause_s, 0)):
                await wake.wait()

    def _hold(self, planned: Planned) -> None:
        if planned.fires_at < self._until and self._owns(planned):
            self.window.put(planned)

    def _owns(self, planned: Planned) -> bool:
        return _partition(planned.user_id, self._partition_count) in self._partitions


@asynccontextmanager
async def pruning(database: Database) -> AsyncIterator[None]:
    """Forget firings that are long past while the context is open."""
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(_prune(database))
        try:
            yield
        finally:
            keeping.cancel()


async def _prune(database: Database) -> None:
    while True:
        try:
            pruned = await prune_ledger(database)
        except StoreError:
            pruned = 0  # it is away for whoever fires too, who says so
        await asyncio.sleep(PRUNE_AGAIN_S if pruned else PRUNE_S)


@lru_cache(maxsize=16_384)
def _partition(user_id: UUID, count: int) -> int:
    return partition_of(str(user_id).encode(), count)


def version_of(event: Event) -> tuple[UUID, int]:
    """Give an event's task and its version; raise `PoisonError` if its data is no task's change."""
    try:
        task = TaskChange.model_validate(event.envelope.data).task
    except ValidationError as error:
        raise PoisonError(f"/data{first_rule(error)}") from None
    return task.id, task.version


async def show_next(database: Database, user: str, *, as_json: bool) -> str:
    """List what fires next for a user, and why what does not does not."""
    user_id = parse_id(user)
    if user_id is None:
        return f"{user} is no user id: it is a lower-case UUID"
    clock = DatabaseClock()
    await clock.measure(database)
    schedule = await schedule_of_user(database, user_id, SHOWN_MAX)
    found = [(one, reason(one, clock.now())) for one in schedule]
    if as_json:
        return codec.encode([_members(one) | {"reason": why} for one, why in found]).decode()
    lines = [f"{_text(one.fires_at):<27} {one.task_id} {one.kind:<10} {why}" for one, why in found]
    return "\n".join(lines) or "this user has no reminders"


def _members(one: Scheduled) -> dict[str, object]:
    return asdict(one) | {"id": str(one.id), "task_id": str(one.task_id)}


def _text(at: datetime | None) -> str:
    return at.isoformat().replace("+00:00", "Z") if at else "-"


reminders = Reminders()
app = faust_app(
    Worker(
        app="reminders",
        topic=TASK_EVENTS,
        types=_TYPES,
        apply=reminders.apply,
        beside=reminders.keep,
        trace=firing_row_of,
    )
)
add_command(
    app,
    "next",
    show_next,
    text_option("user", "the user's id"),
    flag("json", "as JSON"),
)
