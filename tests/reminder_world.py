"""Tasks with reminders by the thousand, and what became of them in the ledger and on the topic."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from uuid import UUID

from schemas import codec
from schemas.events import EVENTS, REMINDER_DUE
from schemas.ids import new_id
from schemas.topics import REMINDERS
from streams.store.database import Database, Row
from streams.transport.interface import Record, Transport
from tests.waiting import eventually

USERS = 200
ROWS = 1_000

_USERS = """
    INSERT INTO users (id, email, email_key, password_hash)
    SELECT id, id || '@example.org', id || '@example.org', 'none' FROM unnest($1::uuid[]) AS id"""

_TASKS = """
    WITH written AS (
        INSERT INTO tasks (id, user_id, title, remind_at, created_at, updated_at)
        SELECT id, user_id, 'a task', remind_at, clock_timestamp(), clock_timestamp()
          FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[]) AS new (id, user_id, remind_at)
        RETURNING *
    )
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    SELECT gen_random_uuid(), 'taskflow.task.created', '/taskflow/api', user_id, id, updated_at,
           json_build_object('task', task_json(written.*::tasks), 'changed', '{}'::text[],
                             'actor', json_build_object('kind', 'user', 'id', user_id))
      FROM written WHERE $4"""

_LEDGER = """
    SELECT reminder_id, fires_at, fired_at, late, event_id FROM reminder_firings
     ORDER BY fired_at, fires_at"""


async def make_users(database: Database, count: int = USERS) -> Sequence[UUID]:
    users = [new_id() for _ in range(count)]
    await database.fetch(_USERS, users)
    return users


async def database_now(database: Database) -> datetime:
    row = await database.fetchrow("SELECT clock_timestamp() AS now")
    assert row is not None
    now: datetime = row["now"]
    return now


async def plan(
    database: Database,
    users: Sequence[UUID],
    instants: Sequence[datetime],
    *,
    with_events: bool = True,
) -> Sequence[UUID]:
    """Make a task with a reminder for each instant, in turn for each user."""
    ids = [new_id() for _ in instants]
    for start in range(0, len(ids), ROWS):
        part = slice(start, start + ROWS)
        owners = [users[n % len(users)] for n in range(start, start + len(ids[part]))]
        await database.fetch(_TASKS, ids[part], owners, instants[part], with_events)
    return ids


def spread(begin: datetime, count: int, over: timedelta) -> Sequence[datetime]:
    return [begin + over * n / count for n in range(count)]


async def count_fired(database: Database) -> int:
    row = await database.fetchrow("SELECT count(*) AS n FROM reminder_firings")
    assert row is not None
    return int(row["n"])


async def all_fired(database: Database, count: int, limit_s: float) -> Sequence[Row]:
    """Wait until so many have fired; give the ledger in the order of firing."""

    async def done() -> bool:
        return await count_fired(database) >= count

    await eventually(done, limit_s, f"{count} reminders have fired")
    return await database.fetch(_LEDGER)


@dataclass
class Heard:
    """What came on the topic `reminders`: each event's instant, and when it was first read."""

    records: list[tuple[Record, datetime]] = field(default_factory=list)

    async def listen(self, transport: Transport, positions: dict[int, int]) -> None:
        async with transport.tail(REMINDERS.name, positions) as tail:
            while True:
                page = await tail.read(500, 0.5)
                now = datetime.now(UTC)
                self.records += [(record, now) for record in page]

    async def at_least(self, count: int, limit_s: float) -> None:
        async def done() -> bool:
            return len(self.records) >= count

        await eventually(done, limit_s, f"{count} records are on the topic")

    def lateness_s(self) -> Sequence[float]:
        """From the reminder's instant until the record was read, of each event's first record."""
        first: dict[UUID, float] = {}
        for record, read_at in self.records:
            event = EVENTS[REMINDER_DUE].model_validate_json(record.value or b"")
            remind_at = event.data.remind_at  # type: ignore[attr-defined]  # the model is made late
            first.setdefault(event.id, (read_at - remind_at).total_seconds())
        return list(first.values())

    def event_ids(self) -> Counter[UUID]:
        values = [codec.decode(record.value or b"") for record, _ in self.records]
        return Counter(UUID(value["id"]) for value in values)


@asynccontextmanager
async def hearing(transport: Transport) -> AsyncIterator[Heard]:
    """Read the topic from its end on while the context is open."""
    extents = await transport.extents(REMINDERS.name)
    heard = Heard()
    positions = {partition: extent.end for partition, extent in extents.items()}
    listening = asyncio.create_task(heard.listen(transport, positions))
    try:
        yield heard
    finally:
        listening.cancel()


def lateness_s(ledger: Sequence[Row]) -> Sequence[float]:
    return [(row["fired_at"] - row["fires_at"]).total_seconds() for row in ledger]


def p50_p99(values: Sequence[float]) -> tuple[float, float]:
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98]


def told(values: Sequence[float]) -> str:
    p50, p99 = p50_p99(values)
    return f"p50 {p50 * 1e3:.1f} ms, p99 {p99 * 1e3:.1f} ms, max {max(values) * 1e3:.1f} ms"


def check_once(ledger: Sequence[Row], ids: Sequence[UUID], heard: Heard) -> None:
    """Check that each has fired once, none early, and each is on the topic by its event's id."""
    assert sorted(row["reminder_id"] for row in ledger) == sorted(ids)
    assert min(lateness_s(ledger)) >= 0
    assert set(heard.event_ids()) == {row["event_id"] for row in ledger}


def worst_seconds(ledger: Sequence[Row], count: int = 8) -> str:
    """Tell in which seconds of the run the latest were: a stall shows as one second, not many."""
    begin = min(row["fires_at"] for row in ledger)
    worst: dict[int, float] = {}
    for row, late_s in zip(ledger, lateness_s(ledger), strict=True):
        second = int((row["fires_at"] - begin).total_seconds())
        worst[second] = max(worst.get(second, 0), late_s)
    first = sorted(worst.items(), key=lambda item: -item[1])[:count]
    return ", ".join(f"{second} s: {late_s * 1e3:.0f} ms" for second, late_s in sorted(first))
