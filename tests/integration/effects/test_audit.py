"""The audit log: one row an event, by its event id, however often the log is read."""

import importlib
import json
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from uuid import UUID, uuid4

import pytest

from schemas.events import Envelope
from schemas.settings import load_settings
from streams.effects.processor import Processor
from streams.effects.reading import Event, PoisonError
from streams.effects.worker import Worker
from streams.transport.interface import Record
from tests.integration.effects.effects_world import KEY, USER, World, envelope

TASK = UUID(int=77)
SECRET = "dentist-at-nine"


@pytest.fixture(scope="module")
def audit() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.audit")
    load_settings.cache_clear()


@pytest.fixture
def worker(audit: ModuleType) -> Worker:
    worker = audit.app._worker
    assert isinstance(worker, Worker)
    return worker


def change(version: int, verb: str = "updated", **fields: object) -> bytes:
    """Give an event of a task."""
    task: dict[str, object] = {
        "id": str(TASK),
        "user_id": str(USER),
        "title": f"version {version}",
        "description": None,
        "status": "pending",
        "completed": False,
        "priority": "low",
        "due_date": None,
        "remind_at": None,
        "recurrence_pattern": "none",
        "recurrence_interval": 1,
        "recurrence_mode": "due",
        "next_occurrence": None,
        "series_id": None,
        "occurrence": None,
        "tags": [],
        "completed_at": None,
        "deleted_at": None,
        "version": version,
        "created_at": "2027-01-01T00:00:00.000001Z",
        "updated_at": "2027-01-01T00:00:00.000001Z",
        "from_the_future": {"kept": True},
    }
    data = {"task": task | fields, "changed": [], "actor": {"kind": "user", "id": str(USER)}}
    return envelope(data, f"taskflow.task.{verb}", subject=str(TASK))


async def rows(world: World) -> list[dict[str, Any]]:
    found = await world.database.fetch(
        """SELECT id, user_id, event_type, task_id, task_data::text, event_id, timestamp
             FROM audit_log ORDER BY timestamp, id"""
    )
    return [dict(row) for row in found]


async def forget(world: World) -> None:
    """Delete the ledger, as an operator who wants the log read from its start."""
    await world.database.fetch("DELETE FROM stream_offsets")


def processor(world: World, worker: Worker) -> Processor:
    return Processor(worker, world.database, world.log)


async def test_every_change_is_a_row_with_the_whole_task_as_it_then_was(
    world: World, worker: Worker
) -> None:
    """All verbs but `purged`, and members of a newer version are kept too."""
    verbs = ["created", "updated", "completed", "reopened", "deleted", "restored"]
    values = [change(number + 1, verb) for number, verb in enumerate([*verbs, "purged"])]
    records = await world.publish(*values)
    await processor(world, worker).process(records)
    found = await rows(world)
    assert {row["event_type"] for row in found} == set(verbs)
    by_event = {str(row["event_id"]): row for row in found}
    for value in values[:-1]:
        event = json.loads(value)
        row = by_event[event["id"]]
        assert json.loads(row["task_data"]) == event["data"]["task"]
        assert (row["user_id"], row["task_id"]) == (USER, TASK)


async def test_an_event_that_the_relay_sent_twice_is_one_row(world: World, worker: Worker) -> None:
    """In one batch, in two, and by another worker."""
    once, more = change(1), change(2)
    await processor(world, worker).process(await world.publish(once, once, more, once))
    await processor(world, worker).process(await world.publish(more, once))
    assert len(await rows(world)) == 2


async def test_the_log_replayed_from_its_start_leaves_the_audit_log_the_same(
    world: World, worker: Worker
) -> None:
    """By a new worker, and by one that runs and has only its memory of the ledger."""
    running = processor(world, worker)
    await running.process(await world.publish(*(change(n) for n in range(1, 301))))
    before = await rows(world)
    assert len(before) == 300
    await forget(world)
    await processor(world, worker).process(await world.records("task-events"))
    assert await rows(world) == before
    await forget(world)
    await running.process(await world.publish(change(301)))
    after = await rows(world)
    assert len(after) == 301
    assert [row for row in after if row in before] == before
    row = await world.database.fetchrow("SELECT next_offset FROM stream_offsets")
    assert row is not None
    assert row["next_offset"] == 301


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": [SECRET]}, "/data/task/title: string_type"),
        ({"priority": SECRET}, "/data/task/priority: enum"),
        ({"created_at": SECRET}, "/data/task/created_at: datetime_from_date_parsing"),
        ({"title": SECRET * 100}, "/data/task/title: string_too_long"),
        ({"user_id": str(uuid4())}, "the task is not the one that the envelope names"),
        ({"id": str(uuid4())}, "the task is not the one that the envelope names"),
    ],
)
def test_what_is_no_change_of_a_task_says_the_first_rule_and_quotes_nothing(
    audit: ModuleType, fields: dict[str, object], reason: str
) -> None:
    value = change(1, "updated", **fields)
    event = Event(
        Record("task-events", 0, 0, KEY, value, (), 0), Envelope.model_validate_json(value)
    )
    with pytest.raises(PoisonError) as raised:
        audit.entry_of(event)
    assert str(raised.value) == reason
    assert raised.value.__cause__ is None


async def test_a_nul_that_no_table_takes_is_a_dead_letter(world: World, worker: Worker) -> None:
    """PostgreSQL refuses it in jsonb; the events around it are rows."""
    records = await world.publish(change(1), change(2, title=f"{SECRET}\0"), change(3))
    await processor(world, worker).process(records)
    assert len(await rows(world)) == 2
    assert await world.dead_offsets() == [1]
