"""A year of many users, in which the worker dies and repeats itself: no occurrence too few or many.

The clock is simulated, PostgreSQL is real, and the log is what the outbox had.
"""

import asyncio
import importlib
import os
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from time import monotonic
from types import ModuleType
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
import tzdata

from schemas.settings import load_settings
from schemas.tasks import Scope, Task
from streams.effects.reading import Event
from streams.store.database import Database, Fault, StoreError
from tests.recurrence_oracle import due_days
from tests.recurrence_world import RecurrenceWorld

ZONES = ["UTC", "Europe/Dublin", "America/Sao_Paulo", "Australia/Lord_Howe", "Pacific/Apia"]
BEGIN = date(2027, 1, 1)
BATCH = 500
DEATHS = [1, 2, 3, 4, 10, 100, 10_000]
"""After so many statements a worker dies; or if there are fewer, before its commit."""
TRIES_MAX = 10
KEPT = 5_000
"""Events that may be replayed."""
REMINDED_AT = time(9)
ALONE = "for once"

_PENDING = """
    SELECT task_json(tasks)::text AS task FROM tasks
     WHERE status = 'pending' AND deleted_at IS NULL AND due_date <= $1
     ORDER BY title, occurrence"""
_ALL = "SELECT task_json(tasks)::text AS task FROM tasks ORDER BY series_id, occurrence"


@dataclass
class Habit:
    """How somebody does the tasks of a series: so many days late (early, if less than none), at
    most, until some day; and how often twice.
    """

    task: Task
    zone: str
    late_days: int
    until: date
    twice: float
    done: dict[int, datetime] = field(default_factory=dict)
    """When each was done, by its number."""
    alone: dict[int, date] = field(default_factory=dict)
    """To which day one was moved, and renamed, for itself; by its number."""


@dataclass
class Year:
    """Some users, the days that pass, and what happens to the worker."""

    world: RecurrenceWorld
    dice: random.Random
    habits: dict[UUID, Habit] = field(default_factory=dict)
    waiting: list[Event] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    async def begin(self, users: int) -> None:
        self.world.now = datetime.combine(BEGIN, time(), UTC)
        for number in range(users):
            zone = self.dice.choice(ZONES)
            user_id = await self.world.user(zone)
            for kind in ("daily", "weekly", "monthly"):
                await self._begin_series(user_id, zone, kind, f"{number} {kind}")

    async def _begin_series(self, user_id: UUID, zone: str, kind: str, title: str) -> None:
        due = BEGIN + timedelta(days=self.dice.randrange(31))
        remind_at = datetime.combine(due, REMINDED_AT, ZoneInfo(zone))
        task = await self.world.create(
            user_id,
            title=title,
            tags=self.dice.sample(["home", "work", "garden"], 2),
            recurrence_pattern=kind,
            recurrence_interval=self.dice.randint(1, 7 if kind == "daily" else 2),
            recurrence_mode=self.dice.choice(["due", "due", "completion"]),
            recurrence_catch_up=self.dice.choice(["none", "one", "all"]),
            due_date=due,
            remind_at=remind_at if remind_at > self.world.now else None,
        )
        ends_after = self.dice.choice([400, 400, 400, self.dice.randrange(300)])
        assert task.series_id is not None
        self.habits[task.series_id] = Habit(
            task=task,
            zone=zone,
            late_days=self.dice.choice([-2, -1, 0, 0, 0, 1, 5, 20]),
            until=BEGIN + timedelta(days=ends_after),
            twice=self.dice.choice([0, 0, 0.2]),
        )

    async def day(self, today: date) -> None:
        """Let everybody do what is theirs, and then let the worker work, or be down."""
        self.world.now = datetime.combine(today, time(self.dice.randrange(24), 30), UTC)
        rows = await self.world.database.fetch(_PENDING, today + timedelta(days=2))
        tasks = [Task.model_validate_json(row["task"]) for row in rows]
        room = asyncio.Semaphore(8)
        await asyncio.gather(*(self._consider(task, today, room) for task in tasks))
        self.waiting += await self.world.publish()
        del self.world.log[:-KEPT]
        if self.dice.random() < 0.1:
            self.seen["days down"] += 1
        else:
            await self.catch_up()

    async def _consider(self, task: Task, today: date, room: asyncio.Semaphore) -> None:
        assert task.series_id is not None
        assert task.due_date is not None
        assert task.occurrence is not None
        habit = self.habits[task.series_id]
        patience = min(habit.late_days, self.dice.randint(-2, 20))
        twice = self.dice.random() < habit.twice
        alone = self.dice.choice([None] * 8 + ["before", "after"])
        moved_to = task.due_date + timedelta(days=self.dice.randint(-9, 9))
        if today > habit.until or task.due_date + timedelta(days=patience) > today:
            return
        async with room:
            if alone == "before":
                await self._edit_alone(habit, task, moved_to)
            await self.world.complete(task)
            self.seen["completed"] += 1
            if alone == "after":
                await self._edit_alone(habit, task, moved_to)
            if twice:
                await self.world.reopen(task)
                await self.world.complete(task)
                self.seen["twice"] += 1
            habit.done[task.occurrence] = self.world.now

    async def _edit_alone(self, habit: Habit, task: Task, moved_to: date) -> None:
        await self.world.patch(task, Scope.THIS, title=ALONE, due_date=moved_to)
        assert task.occurrence is not None
        habit.alone[task.occurrence] = moved_to
        self.seen["edited alone"] += 1

    async def catch_up(self) -> None:
        """Apply all that waits, in batches that may die, repeat, or be done by two at once."""
        while self.waiting:
            batch, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
            while self.dice.random() < 0.2:
                self.seen["kills"] += 1
                await self.world.die(batch, self.dice.choice(DEATHS))
            rivals = 2 if self.dice.random() < 0.1 else 1
            self.seen["rivals"] += rivals - 1
            await asyncio.gather(*(self._work(batch) for _ in range(rivals)))
            if self.dice.random() < 0.1:
                self.seen["replays"] += 1
                begin = self.dice.randrange(max(1, len(self.world.log) - BATCH))
                await self.world.work(self.world.log[begin : begin + BATCH])

    async def _work(self, batch: list[Event]) -> None:
        """Apply a batch, again if the database is busy: a worker does so, as often as it takes."""
        for _ in range(TRIES_MAX):
            try:
                return await self.world.work(batch)
            except StoreError as error:
                if error.fault is not Fault.TRANSIENT:
                    raise
                self.seen["busy"] += 1
        raise AssertionError(f"the database is busy after {TRIES_MAX} attempts")

    async def check(self) -> None:
        """Compare each series with the oracle: all its tasks, their days, states and reminders."""
        found: dict[UUID, list[Task]] = {series: [] for series in self.habits}
        for row in await self.world.database.fetch(_ALL):
            task = Task.model_validate_json(row["task"])
            assert task.series_id is not None
            found[task.series_id].append(task)
        for series, habit in self.habits.items():
            first, tasks = habit.task, found[series]
            assert first.due_date is not None
            numbers = sorted(habit.done)
            assert numbers == list(range(1, len(numbers) + 1))
            expected = due_days(
                *(first.recurrence_pattern, first.recurrence_interval, first.recurrence_mode),
                *(first.recurrence_catch_up, habit.zone, first.due_date),
                [habit.done[number] for number in numbers],
            )
            own = [habit.alone.get(n, day) for n, day in enumerate(expected, 1)]
            names = [ALONE if n in habit.alone else first.title for n in range(1, len(own) + 1)]
            assert [task.due_date for task in tasks] == own
            assert [task.title for task in tasks] == names
            assert [task.occurrence for task in tasks] == list(range(1, len(expected) + 1))
            assert [task.completed for task in tasks] == [True] * len(numbers) + [False]
            assert all(task.deleted_at is None for task in tasks)
            for task, day in zip(tasks, expected, strict=True):
                assert reminded_as(task, first, day, habit.zone)
            self.seen["occurrences"] += len(tasks)


def reminded_as(task: Task, first: Task, day: date, zone: str) -> bool:
    """Tell whether a task's reminder is at the same time of the day that its series gave it."""
    if first.remind_at is None or task.remind_at is None:
        return task.remind_at is first.remind_at
    local = task.remind_at.astimezone(ZoneInfo(zone))
    return (local.date(), local.time()) == (day, REMINDED_AT)


@pytest.fixture(scope="module")
def worker_module() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.recurrence")
    load_settings.cache_clear()


async def live(
    database: Database, worker_module: ModuleType, *, seed: int, users: int, days: int
) -> None:
    recurrence = worker_module.Recurrence()
    world = RecurrenceWorld(database, recurrence.apply)
    recurrence.now = lambda: world.now
    year, began_at = Year(world, random.Random(seed)), monotonic()
    await year.begin(users)
    for n in range(days):
        await year.day(BEGIN + timedelta(days=n))
    year.waiting += await world.publish()
    await year.catch_up()
    await year.check()
    print(
        f"seed {seed}: {users} users, {len(year.habits)} series, {days} days, "
        + ", ".join(f"{count} {what}" for what, count in sorted(year.seen.items()))
        + f"; {monotonic() - began_at:.0f} s, load {os.getloadavg()[0]:.1f},"
        f" tzdata {tzdata.IANA_VERSION}"
    )


async def test_weeks_of_some_users_leave_exactly_what_the_oracle_says(
    database: Database, worker_module: ModuleType
) -> None:
    await live(database, worker_module, seed=3, users=15, days=70)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5))
async def test_a_year_of_a_thousand_users_leaves_exactly_what_the_oracle_says(
    database: Database, worker_module: ModuleType, seed: int
) -> None:
    await live(database, worker_module, seed=seed, users=1_000, days=365)
