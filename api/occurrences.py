"""A recurring task's series: what follows, skip one, end it."""

from datetime import datetime
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response

from api.answers import page_answer, task_answer
from api.authentication import no_account, path_user
from api.problems import invalid, not_found
from api.requests import path_id, query_parameters, read_raw_body, single
from api.services import services
from api.tasks import change_task
from schemas.occurrences import Occurrence
from schemas.problems import FieldError, Problem, ProblemError
from schemas.tasks import Task
from streams.domain import skipping
from streams.domain import tasks as domain
from streams.domain.tasks import Change
from streams.domain.zones import day_of, zone_named
from streams.store.tasks import find_task
from streams.store.users import find_user

COUNT_DEFAULT, COUNT_MAX = 10, 100


async def list_all(request: Request) -> Response:
    """Show the occurrences that follow a task; none if it does not recur."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    count = _count(single(query_parameters(request, {"count"}), "count"))
    own = services(request)
    task = await find_task(own.database, user_id, task_id)
    if task is None:
        raise not_found()
    zone = zone_named(await _timezone(request, user_id))
    items = [
        Occurrence(occurrence=number, due_date=due_on, remind_at=remind_at)
        for number, due_on, remind_at in skipping.preview(task, own.now(), zone, count)
    ]
    return page_answer(items, None)


async def skip(request: Request) -> Response:
    """Move a pending task to the next day of its series; one that cannot be moved is 409."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    zone = zone_named(await _timezone(request, user_id))

    def decide(task: Task, now: datetime) -> Change | None:
        return skipping.skip(task, day_of(now, zone), zone)

    try:
        return task_answer(await change_task(request, user_id, task_id, decide))
    except skipping.NothingToSkipError as error:
        raise ProblemError(Problem.CONFLICT, str(error)) from error


async def end_series(request: Request) -> Response:
    """Let nothing follow a task; again changes nothing."""
    await read_raw_body(request)
    user_id, task_id = path_user(request), path_id(request, "task_id")
    query_parameters(request, ())
    return task_answer(await change_task(request, user_id, task_id, domain.end_series))


async def _timezone(request: Request, user_id: UUID) -> str:
    user = await find_user(services(request).database, user_id)
    if user is None:
        raise no_account()
    return user.timezone


def _count(text: str | None) -> int:
    if text is None:
        return COUNT_DEFAULT
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:4]) <= COUNT_MAX:
        message = f"must be a number from 1 to {COUNT_MAX}"
        raise invalid(FieldError(field="count", rule="range", message=message))
    return int(text)
