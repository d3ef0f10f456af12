"""What a campaign left behind: the tables and the log, read when everything has drained."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from schemas import codec
from schemas.codec import JsonObject
from schemas.events import REMINDER_DUE, TASK_TYPE_PREFIX
from schemas.topics import REMINDERS, TASK_EVENTS, TASK_UPDATES
from streams.store.database import Database
from streams.transport.interface import Record, Transport
from tests.chaos.ending import read_log

WATCH_LEDGER = (
    """
    CREATE TABLE campaign_moves (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, app text, topic text,
        partition integer, begin_at bigint, end_at bigint
    )""",
    """
    CREATE FUNCTION note_move() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        INSERT INTO campaign_moves (app, topic, partition, begin_at, end_at)
        VALUES (NEW.app, NEW.topic, NEW.partition, OLD.next_offset, NEW.next_offset);
        RETURN NULL;
    END $$""",
    """
    CREATE TRIGGER campaign_notes_moves AFTER UPDATE ON stream_offsets
        FOR EACH ROW EXECUTE FUNCTION note_move()""",
)
"""Keeps every move of the ledger: they show a worker that wrote after it had lost its partition."""


@dataclass(frozen=True, slots=True)
class TaskState:
    """A task in one of its versions."""

    id: UUID
    user_id: UUID
    version: int
    title: str
    pending: bool
    deleted: bool
    remind_at: datetime | None
    updated_at: datetime
    series: tuple[UUID, int] | None
    """The series and the number in it, of a recurring one."""
    whole: JsonObject


@dataclass(frozen=True, slots=True)
class Event:
    """An event where it first stands in a topic; `task` is of those that have one."""

    id: UUID
    type: str
    user_id: UUID
    place: tuple[int, int]
    by_user: bool
    task: TaskState | None
    remind_at: datetime | None = None
    fired_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Firing:
    """A row of the reminders' ledger."""

    task_id: UUID
    fires_at: datetime
    fired_at: datetime
    event_id: UUID


@dataclass(slots=True)
class Evidence:
    """Everything that the checker looks at beside the history."""

    tasks: Sequence[TaskState] = ()
    events: Sequence[Event] = ()
    updates: Sequence[Event] = ()
    reminders: Sequence[Event] = ()
    records: int = 0
    outbox: int = 0
    audited: Sequence[tuple[UUID, JsonObject]] = ()
    firings: Sequence[Firing] = ()
    notified: Sequence[UUID] = ()
    """The events that rows of `notifications` tell of."""
    backward: Sequence[str] = ()
    """Moves of the ledger that did not begin where the one before had ended."""
    behind: Sequence[str] = ()
    """Ledgers that are not at the end of the log."""
    dead: dict[str, int] = field(default_factory=dict)
    """Dead letters by app, each place counted once."""


async def gather(database: Database, transport: Transport) -> Evidence:
    """Read it all."""
    events, updates, reminders = [
        await read_log(transport, topic.name) for topic in (TASK_EVENTS, TASK_UPDATES, REMINDERS)
    ]
    tasks = await database.fetch("SELECT task_json(tasks)::text AS task FROM tasks")
    audit = await database.fetch("SELECT event_id, task_data::text AS task FROM audit_log")
    firings = await database.fetch(
        "SELECT task_id, fires_at, fired_at, event_id FROM reminder_firings"
    )
    notified = await database.fetch(
        "SELECT event_id FROM notifications WHERE type = $1", REMINDER_DUE
    )
    outbox = await database.fetch("SELECT seq FROM outbox")
    return Evidence(
        tasks=[_state(codec.decode(row["task"].encode())) for row in tasks],
        events=_firsts(events),
        updates=_firsts(updates),
        reminders=_firsts(reminders),
        records=len(events) + len(updates) + len(reminders),
        outbox=len(outbox),
        audited=[(row["event_id"], codec.decode(row["task"].encode())) for row in audit],
        firings=[Firing(**dict(row)) for row in firings],
        notified=[row["event_id"] for row in notified],
        backward=await _backward(database),
        behind=await ledgers_behind(database, transport),
        dead=await _dead(database, transport),
    )


async def ledgers_behind(database: Database, transport: Transport) -> Sequence[str]:
    """Give the ledgers that have not reached the end of the log."""
    extents = {
        topic.name: await transport.extents(topic.name) for topic in (TASK_EVENTS, REMINDERS)
    }
    rows = await database.fetch("SELECT app, topic, partition, next_offset FROM stream_offsets")
    return [
        f"{row['app']} is at {row['next_offset']} of {row['topic']}[{row['partition']}], which has"
        f" {end}"
        for row in rows
        if (end := extents[row["topic"]][row["partition"]].end) != row["next_offset"]
    ]


async def _backward(database: Database) -> Sequence[str]:
    rows = await database.fetch(
        """SELECT * FROM (
               SELECT app, topic, partition, begin_at, end_at,
                      lag(end_at) OVER (PARTITION BY app, topic, partition ORDER BY id) AS before
                 FROM campaign_moves
           ) AS moves WHERE begin_at <> before OR end_at <= begin_at LIMIT 20"""
    )
    return [
        f"{row['app']} moved {row['topic']}[{row['partition']}] from {row['begin_at']} to"
        f" {row['end_at']} after {row['before']}"
        for row in rows
    ]


async def _dead(database: Database, transport: Transport) -> dict[str, int]:
    rows = await database.fetch(
        "SELECT DISTINCT app FROM stream_offsets WHERE topic = $1", TASK_EVENTS.name
    )
    places = set()
    for record in await read_log(transport, TASK_EVENTS.dead_letters.name):
        headers = dict(record.headers)
        places.add((headers["dlq-app"], headers["dlq-partition"], headers["dlq-offset"]))
    apps = [app.decode() for app, _, _ in places]
    return {row["app"]: apps.count(row["app"]) for row in rows}


def _firsts(records: Sequence[Record]) -> Sequence[Event]:
    """Give the events of a topic in its order, partition by partition, each once."""
    found: dict[UUID, Event] = {}
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        try:
            event = _event(record)
        except (ValueError, KeyError, TypeError):
            continue  # a poison message of the campaign's own
        found.setdefault(event.id, event)
    return list(found.values())


def _event(record: Record) -> Event:
    envelope = codec.decode(record.value or b"")
    data = envelope["data"]
    is_due = envelope["type"] == REMINDER_DUE
    has_task = envelope["type"].startswith(TASK_TYPE_PREFIX) or is_due
    return Event(
        id=UUID(envelope["id"]),
        type=envelope["type"],
        user_id=UUID(envelope["partitionkey"]),
        place=(record.partition, record.offset),
        by_user=data.get("actor", {}).get("kind") == "user",
        task=_state(data["task"]) if has_task else None,
        remind_at=_instant(data["remind_at"]) if is_due else None,
        fired_at=_instant(data["fired_at"]) if is_due else None,
    )


def _state(task: JsonObject) -> TaskState:
    updated_at = _instant(task["updated_at"])
    assert updated_at is not None
    return TaskState(
        id=UUID(task["id"]),
        user_id=UUID(task["user_id"]),
        version=task["version"],
        title=task["title"],
        pending=task["status"] == "pending",
        deleted=task["deleted_at"] is not None,
        remind_at=_instant(task["remind_at"]),
        updated_at=updated_at,
        series=(UUID(task["series_id"]), task["occurrence"]) if task["series_id"] else None,
        whole=task,
    )


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
