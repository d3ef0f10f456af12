"""Notifications: what a user was told, and what of it is read."""

from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer, page_answer, read_cursor, read_limit, write_cursor
from api.authentication import path_user
from api.problems import invalid, not_found
from api.requests import path_id, query_parameters, read_raw_body, single
from api.services import services
from schemas.notifications import Unread
from schemas.problems import FieldError
from streams.store.notifications import (
    count_unread,
    list_notifications,
    mark_all_read,
    mark_read,
)


async def list_all(request: Request) -> Response:
    """Show a page of the user's notifications, the newest first."""
    await read_raw_body(request)
    user_id = path_user(request)
    parameters = query_parameters(request, {"limit", "cursor", "unread"})
    limit = read_limit(single(parameters, "limit"))
    before = read_cursor(single(parameters, "cursor"))
    unread_only = _flag(single(parameters, "unread"))
    found = await list_notifications(
        services(request).database, user_id, before, limit + 1, unread_only=unread_only
    )
    page, last = found[:limit], found[limit - 1 : limit]
    more = len(found) > limit
    return page_answer(page, write_cursor(last[0].created_at, last[0].id) if more else None)


async def unread(request: Request) -> Response:
    """Count what is unread."""
    await read_raw_body(request)
    user_id = path_user(request)
    query_parameters(request, ())
    return json_answer(Unread(unread=await count_unread(services(request).database, user_id)))


async def read(request: Request) -> Response:
    """Mark a notification as read; again changes nothing."""
    await read_raw_body(request)
    user_id, wanted = path_user(request), path_id(request, "notification_id")
    found = await mark_read(services(request).database, user_id, wanted)
    if found is None:
        raise not_found()
    return json_answer(found)


async def read_all(request: Request) -> Response:
    """Mark all notifications as read."""
    await read_raw_body(request)
    await mark_all_read(services(request).database, path_user(request))
    return Response(status_code=204)


def _flag(text: str | None) -> bool:
    if text not in {None, "true", "false"}:
        raise invalid(FieldError(field="unread", rule="one_of", message="must be true or false"))
    return text == "true"
