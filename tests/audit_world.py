"""Users, and events of their tasks as records of the log, for tests of the audit trail."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import ModuleType
from uuid import UUID, uuid4

import pytest

from schemas import codec
from schemas.codec import JsonObject
from schemas.ids import new_id
from schemas.settings import load_settings
from schemas.topics import TASK_EVENTS
from streams.domain.audit_chain import Counts, Finding, NewEntry
from streams.store.audit import append_entries
from streams.store.audit_proof import verify_chains
from streams.store.database import Database
from streams.store.migrations import load_migrations
from streams.transport.interface import Record

BEFORE_CHAINS = next(step.number for step in load_migrations() if step.name == "audit_chain") - 1
"""The migration at which entries were not chained yet."""


@contextmanager
def audit_worker() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.audit")
    load_settings.cache_clear()


def task_of(user_id: UUID, title: str = "Pay the rent of the flat in town") -> JsonObject:
    """Give a task as an event has it, of a size that is usual."""
    return {
        "id": str(uuid4()),
        "user_id": str(user_id),
        "title": title,
        "description": "By transfer, from the account that is kept for it, with the usual note.",
        "status": "pending",
        "completed": False,
        "priority": "medium",
        "due_date": "2027-01-31",
        "remind_at": "2027-01-31T08:00:00Z",
        "recurrence_pattern": "monthly",
        "recurrence_interval": 1,
        "recurrence_mode": "due",
        "recurrence_rule": None,
        "recurrence_catch_up": "none",
        "recurrence_anchor": "2027-01-31",
        "next_occurrence": "2027-02-28",
        "series_id": str(uuid4()),
        "occurrence": 1,
        "tags": ["home", "money"],
        "completed_at": None,
        "deleted_at": None,
        "version": 1,
        "created_at": "2027-01-01T00:00:00.000001Z",
        "updated_at": "2027-01-01T00:00:00.000001Z",
    }


def records_of(users: Sequence[UUID], count: int, first_offset: int = 0) -> list[Record]:
    """Give so many records of one partition, the users taking turns."""
    return [
        _record(users[offset % len(users)], offset)
        for offset in range(first_offset, first_offset + count)
    ]


def _record(user_id: UUID, offset: int) -> Record:
    task = task_of(user_id)
    envelope = {
        "specversion": "1.0",
        "id": str(new_id()),
        "source": "/taskflow/api",
        "type": "taskflow.task.updated",
        "subject": task["id"],
        "time": f"2027-01-01T00:00:00.{offset % 1_000_000:06}Z",
        "datacontenttype": "application/json",
        "partitionkey": str(user_id),
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "data": {
            "task": task,
            "changed": ["title"],
            "actor": {"kind": "user", "id": str(user_id)},
        },
    }
    key = str(user_id).encode()
    return Record(TASK_EVENTS.name, 0, offset, key, codec.encode(envelope), (), 0)


def entries_of(users: Sequence[UUID], count: int) -> list[NewEntry]:
    """Give so many new entries, the users taking turns."""
    return [_entry(users[number % len(users)], number) for number in range(count)]


def _entry(user_id: UUID, number: int) -> NewEntry:
    task = task_of(user_id, f"Task {number}, “quoted” \\ and more")
    return NewEntry(
        id=new_id(),
        user_id=user_id,
        event_type="updated",
        task_id=UUID(task["id"]),
        task_data=task,
        event_id=new_id(),
        # Whole seconds are spelled without a fraction: some of both.
        happened_at=datetime(2027, 1, 1, microsecond=number % 3, tzinfo=UTC),
    )


async def append(database: Database, entries: Sequence[NewEntry]) -> None:
    """Append entries in a transaction of their own."""
    async with database.transaction() as session:
        await append_entries(session, entries)


async def found_in(database: Database, user_id: UUID | None = None) -> list[Finding]:
    """Give all that is wrong."""
    return [finding async for finding in verify_chains(database, Counts(), user_id)]
