"""Writing a decision as the store does it, without a store."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from schemas.bodies import TaskPut
from schemas.ids import new_id
from schemas.tasks import (
    Priority,
    RecurrenceCatchUp,
    RecurrenceMode,
    RecurrencePattern,
    Status,
    Task,
    TaskFields,
)
from streams.domain import tasks
from streams.domain.tasks import Change

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def new_task(**fields: object) -> Task:
    """Give a new task, as it is after its first write."""
    change = tasks.create(TaskFields.model_validate({"title": "Pay rent"} | fields), NOW)
    return _task(change, {"id": new_id(), "user_id": new_id(), "version": 1, "created_at": NOW})


def written(task: Task, change: Change | None) -> Task:
    """Give a task as it is after a write; the same if nothing changes."""
    if change is None:
        return task
    kept = {name: getattr(task, name) for name in ("id", "user_id", "created_at")}
    return _task(change, kept | {"version": task.version + 1})


def _task(change: Change, kept: dict[str, Any]) -> Task:
    draft = change.draft
    return Task.model_validate(
        kept
        | draft.fields.model_dump()
        | {
            "status": draft.status,
            "completed": draft.status is Status.COMPLETED,
            "completed_at": draft.completed_at,
            "deleted_at": draft.deleted_at,
            "recurrence_anchor": draft.recurrence_anchor,
            "next_occurrence": draft.next_occurrence,
            "series_id": draft.series_id,
            "occurrence": draft.occurrence,
            "occurrence_only": draft.occurrence_only,
            "updated_at": NOW,
        }
    ).with_series_values(draft.series_values)


WISHES: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {"title": st.sampled_from(["Pay rent", "Buy milk", "x"])},
    optional={
        "description": st.none() | st.sampled_from(["", "At the bank"]),
        "priority": st.sampled_from(Priority),
        "due_date": st.none() | st.dates(date(1900, 1, 1), date(9999, 12, 31)),
        "remind_at": st.none() | st.just(LATER),
        "recurrence_pattern": st.sampled_from(RecurrencePattern),
        "recurrence_interval": st.integers(1, 999),
        "recurrence_mode": st.sampled_from(RecurrenceMode),
        "recurrence_catch_up": st.sampled_from(RecurrenceCatchUp),
        "tags": st.lists(st.sampled_from(["home", "Home", "HOME", "work", "ß", "ss"]), max_size=5),
    },
)
"""What a client may wish for; absent members are left to their default."""

STATUSES = st.fixed_dictionaries({}, optional={"status": st.sampled_from(Status)})
PUTS = st.builds(lambda wish, status: TaskPut.model_validate(wish | status), WISHES, STATUSES)
TASKS = st.builds(
    lambda wish, put: written(new_task(**wish), tasks.put(new_task(**wish), put, NOW)), WISHES, PUTS
)
"""Tasks with some past, pending and completed."""
