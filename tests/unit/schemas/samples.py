"""Shapes as they travel, for tests to take and to spoil."""

from typing import Any
from uuid import UUID

JsonObject = dict[str, Any]
"""Loose on purpose: a test spoils it in ways that no model would let it."""

USER_ID = UUID("018f0000-0000-7000-8000-000000000001")
TASK_ID = UUID("018f0000-0000-7000-8000-00000000000a")
EVENT_ID = UUID("018f0000-0000-7000-8000-0000000000e1")


def task_json(**changed: object) -> JsonObject:
    """Give the task of the contract, but for what is changed."""
    return {
        "id": str(TASK_ID),
        "user_id": str(USER_ID),
        "title": "Pay rent",
        "description": None,
        "status": "pending",
        "completed": False,
        "priority": "medium",
        "due_date": "2027-01-31",
        "remind_at": "2027-01-31T08:00:00.000000Z",
        "recurrence_pattern": "monthly",
        "recurrence_interval": 1,
        "recurrence_mode": "due",
        "recurrence_rule": None,
        "recurrence_catch_up": "none",
        "recurrence_anchor": "2027-01-31",
        "next_occurrence": "2027-02-28",
        "series_id": "018f0000-0000-7000-8000-00000000000b",
        "occurrence": 1,
        "occurrence_only": [],
        "tags": ["home"],
        "completed_at": None,
        "deleted_at": None,
        "version": 1,
        "created_at": "2027-01-01T08:00:00.000000Z",
        "updated_at": "2027-01-01T08:00:00.000000Z",
    } | changed


def change_json(**changed: object) -> JsonObject:
    """Give the data of a task's event, but for what is changed."""
    actor = {"kind": "user", "id": str(USER_ID)}
    return {"task": task_json(), "changed": ["title"], "actor": actor} | changed


def envelope_json(**changed: object) -> JsonObject:
    """Give an update of the task as an event, but for what is changed."""
    return {
        "specversion": "1.0",
        "id": str(EVENT_ID),
        "source": "/taskflow/api",
        "type": "taskflow.task.updated",
        "subject": str(TASK_ID),
        "time": "2027-01-01T08:00:00.000000Z",
        "datacontenttype": "application/json",
        "partitionkey": str(USER_ID),
        "data": change_json(),
    } | changed
