"""Tasks: read, create, and change them; a change is decided anew if another one was quicker."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.answers import (
    page_answer,
    read_cursor,
    read_limit,
    task_answer,
    write_cursor,
)
from api.authentication import no_account, origin, path_user
from api.etags import check_if_match, etag, has_already
from api.problems import invalid, not_found
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
from schemas.problems import FieldError
from schemas.tasks import Scope, Task, TaskFields
from streams.domain import tasks as domain
from streams.domain.tasks import Change
from streams.store.tasks import (
    NoSuchUserError,
    Statements,
    find_task,
    insert_task,
    list_tasks,
    lock_task,
    update_task,
)

Decide = Callable[[Task, datetime], Change | None]


async def list_all(request: Request) -> Response:
    """Show a page of the user's tasks, the newest first."""
    await read_raw_body(request)
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
    query_parameters(request, ())
    own = services(request)
    change = domain.create(fields, own.now())
    try:
        task = await insert_task(own.database, user_id, change, origin(request, user_id))
    except NoSuchUserError as error:
        raise no_account() from error
    own.bell.ring()
    return task_answer(task, 201, {"Location": f"/api/{user_id}/tasks/{task.id}"})


async def read(request: Request) -> Response:
    """Show a task, or that the client has it already (RFC 9110, section 13.1.2)."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    task = await find_task(services(request).database, user_id, task_id)
    if task is None:
        raise not_found()
    if has_already(request, task.version):
        return Response(status_code=304, headers={"ETag": etag(task.version)})
    return task_answer(task)


async def put(request: Request) -> Response:
    """Replace all that a client sets."""
    raw = await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    body = parse_body(request, raw, TaskPut)
    scope = _scope(request)

    def decide(task: Task, now: datetime) -> Change | None:
        return domain.put(task, body, now, scope)

    return task_answer(await change_task(request, user_id, task_id, decide))


async def patch(request: Request) -> Response:
    """Replace what the client names (RFC 7396)."""
    raw = await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    body = parse_body(request, raw, TaskPatch, MERGE_PATCH)
    scope = _scope(request)

    def decide(task: Task, now: datetime) -> Change | None:
        return domain.patch(task, body, now, scope)

    return task_answer(await change_task(request, user_id, task_id, decide))


async def delete(request: Request) -> Response:
    """Delete a task softly."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    await change_task(request, user_id, task_id, domain.delete)
    return Response(status_code=204)


async def complete(request: Request) -> Response:
    """Mark a task as done."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    return task_answer(await change_task(request, user_id, task_id, domain.complete))


async def reopen(request: Request) -> Response:
    """Mark a task as to be done again."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    return task_answer(await change_task(request, user_id, task_id, domain.reopen))


async def change_task(request: Request, user_id: UUID, task_id: UUID, decide: Decide) -> Task:
    """Decide and write; whoever finds that another was quicker decides again, alone with the row.

    A change of nothing writes nothing.
    """
    own = services(request)
    written = await _try_change(request, own.database, user_id, task_id, decide)
    if written is None:
        async with own.database.transaction() as session:
            await lock_task(session, user_id, task_id)
            written = await _try_change(request, session, user_id, task_id, decide)
    if written is None:
        raise AssertionError("nobody else writes a row that is locked")
    own.bell.ring()
    return written


async def _try_change(
    request: Request, database: Statements, user_id: UUID, task_id: UUID, decide: Decide
) -> Task | None:
    """Decide and write once; None if another was quicker."""
    task = await find_task(database, user_id, task_id)
    if task is None:
        raise not_found()
    change = decide(task, services(request).now())
    check_if_match(request, task.version, "task")
    if change is None:
        return task
    return await update_task(database, task, change, origin(request, user_id))


def _scope(request: Request) -> Scope:
    """Give for what an edit is to hold: this occurrence, or those that follow too."""
    text = single(query_parameters(request, {"scope"}), "scope")
    if text is None:
        return Scope.FOLLOWING
    if text not in set(Scope):
        message = f"must be one of {', '.join(Scope)}"
        raise invalid(FieldError(field="scope", rule="one_of", message=message))
    return Scope(text)
