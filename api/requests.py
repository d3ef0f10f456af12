"""Reading requests: bodies within their limit and strictly JSON, parameters each known."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from api.problems import invalid, invalid_fields, not_found
from schemas import codec
from schemas.ids import parse_id
from schemas.problems import FieldError, Problem, ProblemError

BODY_BYTES_MAX = 65_536
BODY_S_MAX = 30.0
"""A body that has not come by then is not waited for: 64 KiB at 2 KiB/s, a poor mobile line."""
REST_BYTES_MAX, REST_S_MAX = 1_048_576, 1.0
"""So much of a body that is too large is read and thrown away, since closing a connection with
unread bytes resets it (RFC 9112, section 9.6), and the client would not see the answer."""
JSON = frozenset({"application/json"})
MERGE_PATCH = JSON | {"application/merge-patch+json"}

_CLOSE = {"Connection": "close"}
"""The rest of the body may still be on its way, so the connection can serve no other request."""

Model = TypeVar("Model", bound=BaseModel)


async def read_raw_body(request: Request) -> bytes:
    """Read a body, whatever it is; over `BODY_BYTES_MAX` it is 413 as soon as that is known."""
    declared = request.headers.get("content-length", "0")
    chunks = request.stream()
    if declared.isdecimal() and int(declared) > BODY_BYTES_MAX:
        if "expect" not in request.headers:  # else the client asks first, and sends nothing now
            await _skip_rest(chunks)
        raise _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S_MAX):
            async for chunk in chunks:
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    break
    except ClientDisconnect as error:
        raise ProblemError(Problem.MALFORMED, "The body ended too early.") from error
    except TimeoutError as error:
        detail = f"The body did not come within {BODY_S_MAX:.0f} s."
        raise ProblemError(Problem.MALFORMED, detail, headers=_CLOSE) from error
    if len(body) > BODY_BYTES_MAX:
        await _skip_rest(chunks)
        raise _too_large()
    return bytes(body)


async def _skip_rest(chunks: AsyncIterator[bytes]) -> None:
    skipped = 0
    with suppress(ClientDisconnect, TimeoutError):
        async with asyncio.timeout(REST_S_MAX):
            async for chunk in chunks:
                skipped += len(chunk)
                if skipped > REST_BYTES_MAX:
                    return


def parse_body(
    request: Request, raw: bytes, model: type[Model], types: Collection[str] = JSON
) -> Model:
    """Check the media type, then the JSON, then the fields; the model's errors name them.

    A body that was compressed is refused as it came: 64 KiB may hold 64 MiB.
    """
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ProblemError(
            Problem.UNSUPPORTED_MEDIA_TYPE,
            "Send the body without a Content-Encoding.",
            headers={"Accept-Encoding": "identity"},  # RFC 9110, section 15.5.16
        )
    media_type = request.headers.get("content-type", "application/json").partition(";")[0]
    if media_type.strip().lower() not in types:
        wanted = " or ".join(sorted(types))
        raise ProblemError(Problem.UNSUPPORTED_MEDIA_TYPE, f"Send {wanted}.")
    try:
        value = codec.decode_strictly(raw)
    except codec.MalformedError as error:
        raise ProblemError(Problem.MALFORMED, f"The body is {error}."[:2000]) from error
    if not isinstance(value, dict):
        raise invalid(FieldError(field="", rule="object", message="must be a JSON object"))
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise invalid_fields(error) from error


def query_parameters(request: Request, known: Collection[str]) -> dict[str, list[str]]:
    """Give each parameter's values; one that is not known, or has a NUL, is 422."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise invalid(FieldError(field=name[:100], rule="unknown_parameter", message="unknown"))
        if "\0" in value:
            raise invalid(FieldError(field=name, rule="format", message="must not contain NUL"))
        found.setdefault(name, []).append(value)
    return found


def single(parameters: dict[str, list[str]], name: str) -> str | None:
    """Give a parameter's one value; twice is 422."""
    values = parameters.get(name, [])
    if len(values) > 1:
        raise invalid(FieldError(field=name, rule="once", message="must be given once"))
    return values[0] if values else None


def path_id(request: Request, name: str) -> UUID:
    """Give an id of the path; what is no UUID names nothing, so it is 404."""
    found = parse_id(request.path_params[name])
    if found is None:
        raise not_found()
    return found


def _too_large() -> ProblemError:
    detail = f"A body has at most {BODY_BYTES_MAX} bytes."
    return ProblemError(Problem.TOO_LARGE, detail, headers=_CLOSE)
