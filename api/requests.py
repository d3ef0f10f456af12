"""Reading requests: bodies within their limit and strictly JSON, parameters each known."""

from collections.abc import Collection
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request

from api.problems import invalid, not_found
from schemas import codec
from schemas.ids import parse_id
from schemas.problems import FieldError, Problem, ProblemError

BODY_BYTES_MAX = 65_536
JSON = frozenset({"application/json"})
MERGE_PATCH = JSON | {"application/merge-patch+json"}

Model = TypeVar("Model", bound=BaseModel)


async def read_raw_body(request: Request) -> bytes:
    """Read a body, whatever it is; over `BODY_BYTES_MAX` it is 413 as soon as that is known."""
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > BODY_BYTES_MAX:
        raise _too_large()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_BYTES_MAX:
                raise _too_large()
    except ClientDisconnect as error:
        raise ProblemError(Problem.MALFORMED, "The body ended too early.") from error
    return bytes(body)


def parse_body(
    request: Request, raw: bytes, model: type[Model], types: Collection[str] = JSON
) -> Model:
    """Check the media type, then the JSON, then the fields; the model's errors name them."""
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
    return model.model_validate(value)


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
    # The rest of the body is not read, so the connection can serve no other request.
    return ProblemError(
        Problem.TOO_LARGE,
        f"A body has at most {BODY_BYTES_MAX} bytes.",
        headers={"Connection": "close"},
    )
