"""What must hold when a world has come to rest, whatever has happened in it."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import UUID

from schemas import codec
from schemas.events import REMINDER_DUE, TaskEventType
from schemas.topics import REMINDERS, TASK_EVENTS, TASK_UPDATES, TOPICS
from streams.domain.audit_chain import content_hash, link_hash, start_hash
from streams.domain.succession import successor_id
from streams.store.database import Row
from streams.transport.interface import Record
from streams.transport.memory import MemoryTransport
from tests.simulation.group import Group
from tests.simulation.parts import SEAL
from tests.simulation.people import Acknowledged, User
from tests.simulation.server import Server
from tests.simulation.sockets import Client

Json = dict[str, Any]  # what is looked at key by key
_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

_TASKS = "SELECT task_json(tasks)::text AS task FROM tasks"
_LINKS = "SELECT successor_id, version, withdrawn FROM task_successors"
_AUDIT = "SELECT event_id, task_data::text AS task FROM audit_log"
_FIRED = "SELECT event_id, task_id, fires_at FROM reminder_firings"
_NOTIFIED = "SELECT event_id FROM notifications WHERE type = $1"
_QUEUED = "SELECT event_id FROM deliveries WHERE channel_id = $1"
_CHAIN = """
    SELECT user_id, position, content, content_hash, hash FROM audit_entries
     ORDER BY user_id, position"""
_WITNESSED = 'SELECT partition, "offset" FROM witnessed'
_WRONG = "SELECT what FROM wrong"


@dataclass(frozen=True)
class Told:
    """An event that counts, and where its first copy stands."""

    partition: int
    offset: int
    event: Json

    @property
    def task(self) -> Json:
        found: Json = self.event["data"]["task"]
        return found

    @property
    def version(self) -> tuple[str, int]:
        """Give the task and its version."""
        return self.task["id"], self.task["version"]


@dataclass(frozen=True)
class Left:
    """What a world has left behind."""

    server: Server
    memory: MemoryTransport
    users: Sequence[User]
    clients: Sequence[Client]
    groups: Mapping[str, Group]
    ended_at: datetime

    def records(self, topic: str) -> Iterator[Record]:
        """Give all records of a topic, partition by partition."""
        _, partitions = self.memory._topics[topic]
        for log in partitions:
            yield from log.records

    def told(self, topic: str) -> Sequence[Told]:
        """Give the events that count: once each, and none of a relay that was put down."""
        epochs: Counter[int] = Counter()
        seen: set[str] = set()
        found: list[Told] = []
        for record in self.records(topic):
            epoch = int(dict(record.headers)["epoch"])
            event = codec.decode(record.value or b"")
            if epoch < epochs[record.partition]:
                continue
            epochs[record.partition] = epoch
            if event["id"] not in seen:
                found.append(Told(record.partition, record.offset, event))
            seen.add(event["id"])
        return found

    def missing_of(self, client: Client) -> bool:
        """Tell whether a client has not yet as many events as it should have."""
        if client.since is None:
            return True
        return len(client.event_ids) < len(self.expected_of(client))

    def expected_of(self, client: Client) -> Sequence[str]:
        """Give the events that a client must have had since it loaded its lists last."""
        begin = SEAL.read(client.since or "", client.user_id).offset
        own = str(client.user_id)
        return [
            told.event["id"]
            for told in self.told(TASK_UPDATES.name)
            if told.event["partitionkey"] == own and told.offset > begin
        ]

    @cached_property
    def tasks(self) -> Mapping[str, Json]:
        """Give all tasks by their ids."""
        rows = [json.loads(row["task"]) for row in self.server.fetch(_TASKS)]
        return {row["id"]: row for row in rows}


def find_wrong(left: Left) -> Sequence[str]:
    """Give what does not hold, each in a sentence."""
    events = left.told(TASK_EVENTS.name)
    return [
        *(row["what"] for row in left.server.fetch(_WRONG)),
        *_in_order(events, TASK_EVENTS.name),
        *_in_order([t for t in left.told(TASK_UPDATES.name) if _is_change(t)], TASK_UPDATES.name),
        *_complete(left, events),
        *_audited(left.server.fetch(_AUDIT), events),
        *_chained(left.server.fetch(_CHAIN)),
        *_queued(left, events),
        *_witnessed(left),
        *_dead(left),
        *_followed(left),
        *_reminded(left, events),
        *_heard(left),
        *(wrong for user in left.users for wrong in _acknowledged(user, events)),
    ]


def _is_change(told: Told) -> bool:
    return bool(told.event["type"].startswith("taskflow.task."))


def _in_order(events: Sequence[Told], topic: str) -> Iterator[str]:
    last: Counter[str] = Counter()
    for told in events:
        task_id, version = told.version
        if version != last[task_id] + 1:
            yield f"{topic}: version {version} of {task_id} comes after {last[task_id]}"
        last[task_id] = version


def _complete(left: Left, events: Sequence[Told]) -> Iterator[str]:
    last = {told.task["id"]: told.task for told in events}
    for task_id, task in left.tasks.items():
        if last.get(task_id) != task:
            yield f"the last event of {task_id} does not tell what it is"


def _audited(rows: Sequence[Row], events: Sequence[Told]) -> Iterator[str]:
    written = {str(row["event_id"]): json.loads(row["task"]) for row in rows}
    told = {one.event["id"]: one.task for one in events}
    if written != told:
        yield f"the audit log has {len(written)} events, and not the {len(told)} of the log"


def _chained(rows: Sequence[Row]) -> Iterator[str]:
    """Check that each user's entries are chained without a hole."""
    last: dict[UUID, tuple[int, bytes]] = {}
    for row in rows:
        position, digest = last.get(row["user_id"], (0, start_hash(row["user_id"])))
        text_hash = content_hash(row["content"].encode())
        expected = (position + 1, text_hash, link_hash(digest, text_hash))
        if (row["position"], row["content_hash"], row["hash"]) != expected:
            yield f"the audit chain is broken behind {position} of {row['user_id']}"
        last[row["user_id"]] = row["position"], row["hash"]


def _queued(left: Left, events: Sequence[Told]) -> Iterator[str]:
    """Check that a webhook gets each event that it asks for."""
    reminders = [t for t in left.told(REMINDERS.name) if t.event["type"] == REMINDER_DUE]
    completed = [told for told in events if told.event["type"] == TaskEventType.COMPLETED]
    for user in left.users:
        if user.hook_id is not None:
            rows = left.server.fetch(_QUEUED, user.hook_id)
            found = Counter(str(row["event_id"]) for row in rows)
            told = [t.event for t in (*reminders, *completed)]
            wanted = Counter(e["id"] for e in told if e["partitionkey"] == str(user.id))
            if found != wanted:
                yield f"a webhook has {found.total()} deliveries, and not {wanted.total()}"


def _witnessed(left: Left) -> Iterator[str]:
    done = Counter((r["partition"], r["offset"]) for r in left.server.fetch(_WITNESSED))
    wanted = Counter((r.partition, r.offset) for r in left.records(TASK_EVENTS.name))
    for place in sorted((done - wanted) | (wanted - done)):
        yield f"the record {place} was done {done[place]} times"


def _dead(left: Left) -> Iterator[str]:
    for topic in TOPICS:
        if topic.name.endswith(".dlq") and (found := list(left.records(topic.name))):
            yield f"{topic.name} has {len(found)} records"


def _followed(left: Left) -> Iterator[str]:
    """Check that a completed task has its successor, and a pending one none that nobody wanted."""
    links = {str(row["successor_id"]): row for row in left.server.fetch(_LINKS)}
    series = [task for task in left.tasks.values() if task["series_id"]]
    for place, count in Counter((t["series_id"], t["occurrence"]) for t in series).items():
        if count > 1:
            yield f"{place} is there {count} times"
    for task in series:
        own_id = str(successor_id(UUID(task["series_id"]), task["occurrence"] + 1))
        found, link = left.tasks.get(own_id), links.get(own_id)
        untouched = bool(found and link and found["version"] == link["version"])
        lives = bool(found and found["deleted_at"] is None)
        if task["status"] == "completed" and (found is None or (untouched and not lives)):
            yield f"{task['id']} is completed and has no successor"
        if task["status"] == "pending" and untouched and lives:
            yield f"{task['id']} is pending and has a successor"


def _reminded(left: Left, events: Sequence[Told]) -> Iterator[str]:
    """Check that what was planned and left alone has fired, and what has fired was told once."""
    fired = left.server.fetch(_FIRED)
    told = {t.event["id"] for t in left.told(REMINDERS.name) if t.event["type"] == REMINDER_DUE}
    notified = Counter(str(row["event_id"]) for row in left.server.fetch(_NOTIFIED, REMINDER_DUE))
    if {str(row["event_id"]) for row in fired} != told:
        yield f"{len(fired)} reminders have fired, and {len(told)} are in the log"
    if notified != Counter(told):
        yield f"{notified.total()} notifications are there of {len(told)} reminders"
    instants = {(str(row["task_id"]), row["fires_at"]) for row in fired}
    for task_id, wanted_at in _planned(events):
        if wanted_at < left.ended_at and (task_id, wanted_at) not in instants:
            yield f"{task_id} was not reminded of at {wanted_at}"


def _planned(events: Sequence[Told]) -> Iterator[tuple[str, datetime]]:
    """Give the last instant of each task, if it was open from when that was set on."""
    planned: dict[str, datetime] = {}
    for told in events:
        task = told.task
        if task["status"] != "pending" or task["deleted_at"]:
            planned.pop(task["id"], None)
        elif task["remind_at"] and (
            told.version[1] == 1 or "remind_at" in told.event["data"]["changed"]
        ):
            planned[task["id"]] = datetime.fromisoformat(task["remind_at"])
    yield from planned.items()


def _heard(left: Left) -> Iterator[str]:
    for client in left.clients:
        if client.refused:
            yield f"a client was refused: {client.refused}"
        if client.since is None:
            yield "a client never came in"
        elif client.event_ids != left.expected_of(client):
            yield f"a client had {client.event_ids}, and not {left.expected_of(client)}"


def _acknowledged(user: User, events: Sequence[Told]) -> Iterator[str]:
    """Check each answered write against the log, and their order against real time."""
    places = {told.version: told for told in events}
    written: list[tuple[Acknowledged, Told]] = []
    for answered in user.acknowledged:
        told = places.get((answered.task["id"], answered.task["version"]))
        if told is None or told.task != answered.task:
            yield f"what was answered has no event: {answered.task}"
        else:
            written.append((answered, told))
    for first, first_told in written:
        for then, then_told in written:
            is_new = _us(then.task["updated_at"]) >= then.began_us
            if first.ended_us < then.began_us and is_new and first_told.offset >= then_told.offset:
                yield f"{first_told.version} was answered before {then_told.version} was asked for"
    gone = {told.task["id"] for told in events if told.event["type"].endswith(".deleted")}
    for task_id in user.deleted - gone:
        yield f"{task_id} was deleted, and no event tells it"


def _us(instant: str) -> int:
    return (datetime.fromisoformat(instant) - _EPOCH) // timedelta(microseconds=1)
