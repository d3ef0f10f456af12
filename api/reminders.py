"""Reminders of a task beside its own, and what a user wishes of all.

A change of one is a change of its task, with a version and an event whose `changed` is `reminders`:
so whoever fires hears of it.
"""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer, page_answer
from api.authentication import no_account, origin, path_user
from api.etags import check_if_match
from api.problems import invalid, not_found
from api.requests import MERGE_PATCH, parse_body, path_id, query_parameters, read_raw_body
from api.services import services
from schemas.events import TaskEventType
from schemas.problems import FieldError, Problem, ProblemError
from schemas.reminders import REMINDERS_MAX, ReminderCreate, ReminderSettings, Snooze
from schemas.tasks import Status, Task
from streams.domain.tasks import REMINDER_PAST_MAX, Change, RuleError, draft_of
from streams.store.database import Session
from streams.store.task_reminders import (
    delete_reminder,
    hold_user,
    insert_reminder,
    list_reminders,
    reminder_settings,
    set_reminder_settings,
    snooze_reminder,
)
from streams.store.tasks import find_task, lock_task, update_task

Result = TypeVar("Result")

_QUIET = {"quiet_from", "quiet_until"}


async def list_all(request: Request) -> Response:
    """Show all reminders of a task, the oldest first."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    database = services(request).database
    task = await find_task(database, user_id, task_id)
    if task is None:
        raise not_found()
    return page_answer(await list_reminders(database, task), None)


async def create(request: Request) -> Response:
    """Make a reminder."""
    raw = await read_raw_body(request)
    user_id = path_user(request)
    path_id(request, "task_id")
    body = parse_body(request, raw, ReminderCreate)
    if body.at is not None and body.at < services(request).now() - REMINDER_PAST_MAX:
        raise RuleError("at", "not_past", "must not be more than 60 s in the past")

    async def write(session: Session, task: Task) -> Response:
        if len(await list_reminders(session, task)) >= REMINDERS_MAX:
            message = f"a task has at most {REMINDERS_MAX} reminders"
            raise invalid(FieldError(field="", rule="max_length", message=message))
        made = await insert_reminder(session, task, body)
        place = f"/api/{user_id}/tasks/{task.id}/reminders/{made.id}"
        return json_answer(made, 201, {"Location": place})

    return await _change(request, write)


async def delete(request: Request) -> Response:
    """Take a reminder away; the task's own goes by setting its `remind_at` to null."""
    await read_raw_body(request)
    path_user(request)
    task_id, reminder_id = path_id(request, "task_id"), path_id(request, "reminder_id")
    if reminder_id == task_id:
        raise ProblemError(Problem.CONFLICT, "It is the task's own: set remind_at to null.")

    async def write(session: Session, task: Task) -> Response:
        if not await delete_reminder(session, task, reminder_id):
            raise not_found()
        return Response(status_code=204)

    return await _change(request, write)


async def snooze(request: Request) -> Response:
    """Let a reminder fire again some minutes from now, whether it has fired or not."""
    raw = await read_raw_body(request)
    path_user(request)
    path_id(request, "task_id")
    reminder_id = path_id(request, "reminder_id")
    body = parse_body(request, raw, Snooze)

    async def write(session: Session, task: Task) -> Response:
        if task.status is Status.COMPLETED:
            raise ProblemError(Problem.CONFLICT, "The task is completed.")
        snoozed = await snooze_reminder(session, task, reminder_id, body.minutes)
        if snoozed is None:
            raise not_found()
        return json_answer(snoozed)

    return await _change(request, write)


async def read_settings(request: Request) -> Response:
    """Show what the user wishes of all reminders."""
    await read_raw_body(request)
    user_id = path_user(request)
    query_parameters(request, ())
    return json_answer(await reminder_settings(services(request).database, user_id))


async def patch_settings(request: Request) -> Response:
    """Replace what the client names; what is planned and has not fired follows at once."""
    raw = await read_raw_body(request)
    user_id = path_user(request)
    body = parse_body(request, raw, ReminderSettings, MERGE_PATCH)
    named = body.model_fields_set
    if named & _QUIET:
        named = named | _QUIET  # quiet hours are one wish
    async with services(request).database.transaction() as session:
        if not await hold_user(session, user_id):
            raise no_account()
        known = await reminder_settings(session, user_id)
        wanted = known.model_copy(update=body.model_dump(include=named))
        await set_reminder_settings(session, user_id, wanted)
    return json_answer(wanted)


async def _change(request: Request, write: Callable[[Session, Task], Awaitable[Result]]) -> Result:
    """Give the task its next version, and write with it in one transaction."""
    user_id, task_id = path_user(request), path_id(request, "task_id")
    own = services(request)
    async with own.database.transaction() as session:
        await lock_task(session, user_id, task_id)
        task = await find_task(session, user_id, task_id)
        if task is None:
            raise not_found()
        check_if_match(request, task.version, "task")
        change = Change(draft_of(task), TaskEventType.UPDATED, ("reminders",))
        written = await update_task(session, task, change, origin(request, user_id))
        if written is None:
            raise AssertionError("nobody else writes a row that is locked")
        result = await write(session, written)
    own.bell.ring()
    return result
