"""Answers: JSON from models, tasks with their version as a strong ETag, and pages."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import BaseModel
from starlette.responses import Response

from api.etags import etag
from api.problems import invalid
from schemas import codec
from schemas.problems import FieldError, ProblemError
from schemas.tasks import Task

Place = tuple[datetime, UUID]
"""Where a page ended: the instant and the id of its last item."""

LIMIT_DEFAULT, LIMIT_MAX = 50, 200
_NUMBER = re.compile(r"[0-9]{1,3}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_JSON = "application/json"


def json_answer(
    body: BaseModel, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """Answer with a model."""
    return Response(body.model_dump_json(), status, headers=headers, media_type=_JSON)


def task_answer(task: Task, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """Answer with a task and its ETag."""
    return json_answer(task, status, {"ETag": etag(task.version)} | (headers or {}))


def page_answer(items: Sequence[BaseModel], next_cursor: str | None) -> Response:
    """Answer with a page of a list."""
    rendered = b",".join(item.model_dump_json().encode() for item in items)
    cursor = codec.encode(next_cursor)
    return Response(
        b'{"items":[' + rendered + b'],"next_cursor":' + cursor + b"}", media_type=_JSON
    )


def write_cursor(at: datetime, item_id: UUID) -> str:
    """Give the text of a place in a list that is sorted by instant and id."""
    micros = (at - _EPOCH) // timedelta(microseconds=1)
    return urlsafe_b64encode(micros.to_bytes(8) + item_id.bytes).decode().rstrip("=")


def read_cursor(text: str | None) -> Place | None:
    """Give back what `write_cursor` took; any other text is 422."""
    if text is None:
        return None
    try:
        raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        micros, item_id = int.from_bytes(raw[:8]), UUID(bytes=raw[8:])
        place = _EPOCH + timedelta(microseconds=micros), item_id
    except (Base64Error, ValueError, OverflowError) as error:
        raise _bad_cursor() from error
    if write_cursor(*place) != text:  # the decoder skips what is not base64
        raise _bad_cursor()
    return place


def _bad_cursor() -> ProblemError:
    message = "is not a cursor of this list"
    return invalid(FieldError(field="cursor", rule="format", message=message))


def read_limit(text: str | None) -> int:
    """Give the number of items asked for; outside of 1 to `LIMIT_MAX` it is 422."""
    if text is None:
        return LIMIT_DEFAULT
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= LIMIT_MAX:
        message = f"must be a number from 1 to {LIMIT_MAX}"
        raise invalid(FieldError(field="limit", rule="range", message=message))
    return int(text)
