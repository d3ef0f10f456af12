"""The audit log of a user, the newest first."""

from collections.abc import AsyncIterator
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from api.answers import page_answer, read_cursor, read_limit, write_cursor
from api.authentication import path_user
from api.problems import invalid
from api.requests import query_parameters, read_raw_body, single
from api.services import services
from schemas.events import TaskEventType
from schemas.ids import parse_id
from schemas.problems import FieldError
from streams.store.audit import AuditFilter, list_entries
from streams.store.audit_proof import export_lines

_TYPES = tuple(type_.verb for type_ in TaskEventType if type_ is not TaskEventType.PURGED)


async def list_all(request: Request) -> Response:
    """Show a page of what happened to the user's tasks."""
    await read_raw_body(request)
    user_id = path_user(request)
    parameters = query_parameters(request, {"limit", "cursor", "task_id", "event_type"})
    limit = read_limit(single(parameters, "limit"))
    before = read_cursor(single(parameters, "cursor"))
    wanted = AuditFilter(
        _task_id(single(parameters, "task_id")), _event_types(parameters.get("event_type", []))
    )
    found = await list_entries(services(request).database, user_id, wanted, before, limit + 1)
    page, last = found[:limit], found[limit - 1 : limit]
    more = len(found) > limit
    return page_answer(page, write_cursor(last[0].timestamp, last[0].id) if more else None)


async def export(request: Request) -> Response:
    """Send all of the user's entries with their proof, a line each; the last line is the head.

    An answer that the database cuts off has no such line, and is told from a whole one by that.
    """
    await read_raw_body(request)
    user_id = path_user(request)
    query_parameters(request, set())
    pieces = export_lines(services(request).database, user_id)
    # Before the answer begins: a database that is away is told as one.
    first = await anext(pieces)

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return StreamingResponse(body(), media_type="application/x-ndjson")


def _task_id(text: str | None) -> UUID | None:
    if text is None:
        return None
    found = parse_id(text)
    if found is None:
        raise invalid(FieldError(field="task_id", rule="uuid", message="must be a lower-case UUID"))
    return found


def _event_types(values: list[str]) -> tuple[str, ...] | None:
    for value in values:
        if value not in _TYPES:
            message = f"must be one of {', '.join(_TYPES)}"
            raise invalid(FieldError(field="event_type", rule="one_of", message=message))
    return tuple(values) or None
