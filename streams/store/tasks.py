"""Tasks in PostgreSQL: each write is one statement that also writes its event's outbox row."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas import codec
from schemas.events import Actor
from schemas.ids import new_id
from schemas.tasks import SeriesValues, Task
from streams.domain.tasks import Change
from streams.store.database import Database, Row, Session, StoreError

_TAGS = """
    named AS (
        -- DO UPDATE and not DO NOTHING, which would lose a tag that is made at the same moment;
        -- in one order for all writers, so that two of them never wait for each other.
        INSERT INTO tags (id, user_id, name, name_key)
        SELECT id, $2, name, name_key
          FROM unnest($3::uuid[], $4::text[], $5::text[]) AS wanted (id, name, name_key)
         WHERE {condition}
         ORDER BY name_key
        ON CONFLICT (user_id, name_key) DO UPDATE SET name = tags.name
        RETURNING id, name, name_key
    ),
    names AS (
        SELECT coalesce(array_agg(name ORDER BY name_key), '{{}}') AS all_names FROM named
    )"""

_LOG = """
    linked AS (
        INSERT INTO todo_tags (todo_id, tag_id)
        SELECT written.id, named.id FROM written, named
        ON CONFLICT DO NOTHING
    ),
    logged AS (
        INSERT INTO outbox
            (event_id, type, source, user_id, subject, occurred_at, traceparent, data)
        SELECT $6, $7, $8, user_id, id, updated_at, $9,
               json_build_object('task', task_json(written), 'changed', $10::text[],
                                 'actor', $11::json)
          FROM written
    )
    SELECT task_json(written)::text AS task, series_values::text AS series_values
      FROM written"""

_INSERT = f"""
    WITH {_TAGS.format(condition="true")},
    instant AS (SELECT clock_timestamp() AS now),
    written AS (
        INSERT INTO tasks
            (id, user_id, tag_names, title, description, priority, due_date, remind_at,
             recurrence_pattern, recurrence_interval, recurrence_mode, recurrence_rule,
             recurrence_catch_up, recurrence_anchor, next_occurrence, series_id, occurrence,
             created_at, updated_at)
        SELECT $1, $2, all_names, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
               $25, now, now
          FROM names, instant
        ON CONFLICT (id) DO NOTHING
        RETURNING *
    ),
    {_LOG}"""

_UPDATE = f"""
    WITH held AS (
        -- The task before its tags, as whoever locked the task has it: two writers never wait for
        -- each other. And who comes too late makes no tags.
        SELECT FROM tasks WHERE id = $1 AND user_id = $2 AND version = $30 FOR NO KEY UPDATE
    ),
    {_TAGS.format(condition="EXISTS (SELECT FROM held)")},
    written AS (
        UPDATE tasks SET
            tag_names = CASE WHEN $29 THEN (SELECT all_names FROM names) ELSE tag_names END,
            title = $12, description = $13, priority = $14, due_date = $15, remind_at = $16,
            recurrence_pattern = $17, recurrence_interval = $18, recurrence_mode = $19,
            recurrence_rule = $20, recurrence_catch_up = $21, recurrence_anchor = $22,
            next_occurrence = $23, series_id = $24, occurrence = $25,
            status = $26, completed_at = $27, deleted_at = $28,
            occurrence_only = CASE WHEN $31 THEN $32::text[] ELSE occurrence_only END,
            series_values = CASE WHEN $31 THEN $33::jsonb ELSE series_values END,
            version = version + 1,
            -- Strictly after the version before, whatever the clock does.
            updated_at = greatest(clock_timestamp(), updated_at + interval '1 microsecond'),
            change_xid = pg_current_xact_id()
         WHERE id = $1 AND user_id = $2 AND version = $30
        RETURNING *
    ),
    unlinked AS (
        DELETE FROM todo_tags
         WHERE $29 AND todo_id = (SELECT id FROM written)
           AND tag_id <> ALL (SELECT id FROM named)
    ),
    {_LOG}"""

TASK_COLUMNS = "task_json(tasks)::text AS task, tasks.series_values::text AS series_values"

_FIND = f"""
    SELECT {TASK_COLUMNS} FROM tasks
     WHERE id = $1 AND user_id = $2 AND (deleted_at IS NULL OR $3)"""

_LOCK = "SELECT FROM tasks WHERE id = $1 AND user_id = $2 FOR NO KEY UPDATE"

_LIST = f"""
    SELECT {TASK_COLUMNS} FROM tasks
     WHERE user_id = $1 AND deleted_at IS NULL
       AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
     ORDER BY created_at DESC, id DESC
     LIMIT $4"""


_OF_USERS = frozenset({"tasks_user_id_fkey", "tags_user_id_fkey"})

Statements = Database | Session
"""What runs a statement: in a transaction of its own, or in one that is open."""


class NoSuchUserError(Exception):
    """The account that is to have the task is not there."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks for a write, and within which trace (W3C Trace Context)."""

    actor: Actor
    traceparent: str | None = None
    source: str = "/taskflow/api"


async def insert_task(database: Statements, user_id: UUID, change: Change, origin: Origin) -> Task:
    """Write a new task and its event in one statement, and give the task as it now is.

    Raises `NoSuchUserError` if the account is gone.
    """
    task = await insert_task_once(database, new_id(), user_id, change, origin)
    if task is None:
        raise AssertionError("an id that was just made is nobody's")
    return task


async def insert_task_once(
    database: Statements, task_id: UUID, user_id: UUID, change: Change, origin: Origin
) -> Task | None:
    """Write a new task of a given id and its event; None, and no event, if there is one already.

    Raises `NoSuchUserError` if the account is gone.
    """
    try:
        row = await database.fetchrow(
            _INSERT, task_id, user_id, *_written(change, origin, tags_changed=True)
        )
    except StoreError as error:
        if error.constraint in _OF_USERS:
            raise NoSuchUserError from error
        raise
    return task_of(row) if row else None


async def update_task(
    database: Statements, task: Task, change: Change, origin: Origin
) -> Task | None:
    """Write a change and its event in one statement; None if the task is another version by now."""
    tags_changed = "tags" in change.changed
    draft, values = change.draft, change.draft.series_values
    row = await database.fetchrow(
        _UPDATE,
        task.id,
        task.user_id,
        *_written(change, origin, tags_changed=tags_changed),
        draft.status,
        draft.completed_at,
        draft.deleted_at,
        tags_changed,
        task.version,
        "occurrence_only" in change.changed,
        list(draft.occurrence_only),
        values and values.model_dump_json(exclude_unset=True),
    )
    return task_of(row) if row else None


async def lock_task(session: Session, user_id: UUID, task_id: UUID) -> None:
    """Let nobody else write a task, if it is there, until the session's transaction ends."""
    await session.fetchrow(_LOCK, task_id, user_id)


async def find_task(
    database: Statements, user_id: UUID, task_id: UUID, *, deleted_too: bool = False
) -> Task | None:
    """Give one task of one user; a deleted one only if asked for."""
    row = await database.fetchrow(_FIND, task_id, user_id, deleted_too)
    return task_of(row) if row else None


async def list_tasks(
    database: Database, user_id: UUID, before: tuple[datetime, UUID] | None, limit: int
) -> Sequence[Task]:
    """Give the newest tasks that were created before an instant and id, at most `limit`."""
    created_at, task_id = before or (None, None)
    rows = await database.fetch(_LIST, user_id, created_at, task_id, limit)
    return [task_of(row) for row in rows]


def _written(change: Change, origin: Origin, *, tags_changed: bool) -> tuple[object, ...]:
    """Give the parameters from $3 on that both statements share."""
    draft, fields = change.draft, change.draft.fields
    names = fields.tags if tags_changed else ()
    return (
        [new_id() for _ in names],
        list(names),
        [name.casefold() for name in names],
        new_id(),
        change.event_type,
        origin.source,
        origin.traceparent,
        list(change.changed),
        codec.encode(origin.actor.model_dump()).decode(),
        fields.title,
        fields.description,
        fields.priority,
        fields.due_date,
        fields.remind_at,
        fields.recurrence_pattern,
        fields.recurrence_interval,
        fields.recurrence_mode,
        fields.recurrence_rule,
        fields.recurrence_catch_up,
        draft.recurrence_anchor,
        draft.next_occurrence,
        draft.series_id,
        draft.occurrence,
    )


def task_of(row: Row) -> Task:
    """Read a row of `TASK_COLUMNS`."""
    task, values = Task.model_validate_json(row["task"]), row["series_values"]
    if values is None:
        return task
    return task.with_series_values(SeriesValues.model_validate_json(values))
