"""The audit log: one row for each event of a task, by its event id."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from schemas.tasks import Task
from streams.store.database import Database, Row, Session

_APPEND = """
    INSERT INTO audit_log (id, user_id, event_type, task_id, task_data, event_id, timestamp)
    SELECT id, user_id, event_type, task_id, task_data, event_id, happened_at
      FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::uuid[], $5::jsonb[], $6::uuid[],
                  $7::timestamptz[])
           AS entry (id, user_id, event_type, task_id, task_data, event_id, happened_at)
    ON CONFLICT (event_id) DO NOTHING"""

_LIST = """
    SELECT id, event_id, event_type, task_id, task_data::text AS task_data, timestamp
      FROM audit_log
     WHERE user_id = $1
       AND ($2::timestamptz IS NULL OR (timestamp, id) < ($2, $3))
       AND ($4::uuid IS NULL OR task_id = $4)
       AND ($5::text[] IS NULL OR event_type = ANY ($5))
     ORDER BY timestamp DESC, id DESC
     LIMIT $6"""


@dataclass(frozen=True, slots=True)
class NewEntry:
    """An entry that is to be appended; `task_data` is JSON text."""

    id: UUID
    user_id: UUID
    event_type: str
    task_id: UUID
    task_data: str
    event_id: UUID
    happened_at: datetime


class AuditEntry(BaseModel):
    """An entry as its user sees it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    event_id: UUID
    event_type: str = Field(max_length=20)
    task_id: UUID
    task_data: Task
    timestamp: datetime


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are asked for; None means any."""

    task_id: UUID | None = None
    event_types: tuple[str, ...] | None = None


async def append_entries(session: Session, entries: Sequence[NewEntry]) -> None:
    """Append entries; those whose event is in the log already are left out."""
    await session.fetch(
        _APPEND,
        [entry.id for entry in entries],
        [entry.user_id for entry in entries],
        [entry.event_type for entry in entries],
        [entry.task_id for entry in entries],
        [entry.task_data for entry in entries],
        [entry.event_id for entry in entries],
        [entry.happened_at for entry in entries],
    )


async def list_entries(
    database: Database,
    user_id: UUID,
    wanted: AuditFilter,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[AuditEntry]:
    """Give the newest entries before an instant and id, at most `limit`."""
    at, entry_id = before or (None, None)
    rows = await database.fetch(
        _LIST,
        user_id,
        at,
        entry_id,
        wanted.task_id,
        list(wanted.event_types) if wanted.event_types else None,
        limit,
    )
    return [_entry(row) for row in rows]


def _entry(row: Row) -> AuditEntry:
    task = Task.model_validate_json(row["task_data"])
    return AuditEntry.model_validate(dict(row) | {"task_data": task})
