"""Tasks: read, create, and change them; a change is decided anew if another one was quicker."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.answers import (
    etag,
    page_answer,
    read_cursor,
    read_limit,
    task_answer,
    write_cursor,
)
from api.authentication import origin, path_user
from api.problems import not_found, unavailable
from api.requests import (
    MERGE_PATCH,
    parse_body,
    path_id,
    query_parameters,
    read_raw_body,
    single,
)
from api.services import services
from schemas.bodies import TaskPatch, TaskPut
from schemas.problems import Problem, ProblemError
from schemas.tasks import Task, TaskFields
from streams.domain import tasks as domain
from streams.domain.tasks import Change
from streams.store.tasks import find_task, insert_task, list_tasks, update_task

TRIES_MAX = 10
"""So many writers were quicker in a row: then the caller is asked to come again."""

Decide = Callable[[Task, datetime], Change | None]


async def list_all(request: Request) -> Response:
    """Show a page of the user's tasks, the newest first."""
    user_id = path_user(request)
    parameters = query_parameters(request, {"limit", "cursor"})
    limit = read_limit(single(parameters, "limit"))
    before = read_cursor(single(parameters, "cursor"))
    found = await list_tasks(services(request).database, user_id, before, limit + 1)
    page, last = found[:limit], found[limit - 1 : limit]
    more = len(found) > limit
    return page_answer(page, write_cursor(last[0].created_at, last[0].id) if more else None)


async def create(request: Request) -> Response:
    """Make a task."""
    raw = await read_raw_body(request)
    user_id = path_user(request)
    fields = parse_body(request, raw, TaskFields)
    own = services(request)
    change = domain.create(fields, own.now())
    task = await insert_task(own.database, user_id, change, origin(request, user_id))
    own.bell.ring()
    return task_answer(task, 201, {"Location": f"/api/{user_id}/tasks/{task.id}"})


async def read(request: Request) -> Response:
    """Show a task, or that the client has it already (RFC 9110, section 13.1.2)."""
    user_id = path_user(request)
    query_parameters(request, ())
    task_id = path_id(request, "task_id")
    task = await find_task(services(request).database, user_id, task_id)
    if task is None:
        raise not_found()
    if _names(request.headers.get("if-none-match"), task, weakly=True):
        return Response(status_code=304, headers={"ETag": etag(task)})
    return task_answer(task)


async def put(request: Request) -> Response:
    """Replace all that a client sets."""
    raw = await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    body = parse_body(request, raw, TaskPut)
    return task_answer(
        await _change(request, user_id, task_id, lambda task, now: domain.put(task, body, now))
    )


async def patch(request: Request) -> Response:
    """Replace what the client names (RFC 7396)."""
    raw = await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    body = parse_body(request, raw, TaskPatch, MERGE_PATCH)
    return task_answer(
        await _change(request, user_id, task_id, lambda task, now: domain.patch(task, body, now))
    )


async def delete(request: Request) -> Response:
    """Delete a task softly."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    await _change(request, user_id, task_id, domain.delete)
    return Response(status_code=204)


async def complete(request: Request) -> Response:
    """Mark a task as done."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    return task_answer(await _change(request, user_id, task_id, domain.complete))


async def reopen(request: Request) -> Response:
    """Mark a task as to be done again."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    return task_answer(await _change(request, user_id, task_id, domain.reopen))


async def _change(request: Request, user_id: UUID, task_id: UUID, decide: Decide) -> Task:
    """Decide and write until nobody else was quicker; a change of nothing writes nothing."""
    own = services(request)
    asks = origin(request, user_id)
    for _ in range(TRIES_MAX):
        task = await find_task(own.database, user_id, task_id)
        if task is None:
            raise not_found()
        _check_if_match(request, task)
        change = decide(task, own.now())
        if change is None:
            return task
        written = await update_task(own.database, task, change, asks)
        if written is not None:
            own.bell.ring()
            return written
    raise unavailable("The task is being changed by too many others.")


def _check_if_match(request: Request, task: Task) -> None:
    wanted = request.headers.get("if-match")
    if wanted is not None and not _names(wanted, task, weakly=False):
        raise ProblemError(
            Problem.PRECONDITION_FAILED,
            f"The task is at version {task.version}.",
            headers={"ETag": etag(task)},
        )


def _names(header: str | None, task: Task, *, weakly: bool) -> bool:
    """Tell whether a list of entity tags has the task's; a weak one counts only `weakly`."""
    if header is None:
        return False
    tags = [tag.strip() for tag in header.split(",")]
    if weakly:
        tags = [tag.removeprefix("W/") for tag in tags]
    return "*" in tags or etag(task) in tags
