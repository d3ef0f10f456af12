"""Problems as answers: every error of a request becomes its RFC 9457 document."""

import logging

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.requests import Request
from starlette.responses import Response

from schemas.problems import CONTENT_TYPE, FieldError, Problem, ProblemBody, ProblemError
from schemas.tasks import Task, TaskFields
from streams.domain.tasks import RuleError
from streams.store.database import Fault, StoreError

RETRY_AFTER_S = 1
ERRORS_MAX = 50
"""Broken rules that one answer names."""
_READ_ONLY = frozenset(Task.model_fields) - frozenset(TaskFields.model_fields)
_RULES = {
    "missing": "required",
    "string_too_short": "min_length",
    "string_too_long": "max_length",
    "too_short": "min_length",
    "too_long": "max_length",
    "greater_than_equal": "minimum",
    "less_than_equal": "maximum",
    "enum": "one_of",
}
"""What the library calls a rule, and what we do: clients compare the name. All others are of type
or format."""

_log = logging.getLogger(__name__)


async def answer_problem(request: Request, error: Exception) -> Response:
    """Turn a `ProblemError` into its answer."""
    if not isinstance(error, ProblemError):
        raise TypeError("registered for ProblemError") from error
    body = ProblemBody(
        type=error.problem.urn,
        title=error.problem.title,
        status=error.problem.status,
        detail=error.detail,
        request_id=request.scope["request_id"],
        errors=error.errors,
    )
    headers = dict(error.headers)
    if error.problem is Problem.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    return Response(
        body.model_dump_json(), error.problem.status, headers=headers, media_type=CONTENT_TYPE
    )


async def answer_store_error(request: Request, error: Exception) -> Response:
    """Tell that nobody knows whether the database did it; what it will never do is our own bug."""
    if not isinstance(error, StoreError):
        raise TypeError("registered for StoreError") from error
    if error.fault in {Fault.DATA, Fault.UNKNOWN}:
        raise error
    level = logging.WARNING if error.fault is Fault.TRANSIENT else logging.ERROR
    _log.log(level, "the database refuses: %s", error)
    return await answer_problem(request, unavailable("The database does not answer now."))


async def answer_rule_error(request: Request, error: Exception) -> Response:
    """Name the field whose value is not allowed now."""
    if not isinstance(error, RuleError):
        raise TypeError("registered for RuleError") from error
    field = error.field if error.in_query else f"/{error.field}"
    return await answer_problem(
        request, invalid(FieldError(field=field, rule=error.rule, message=str(error)))
    )


def invalid(*errors: FieldError) -> ProblemError:
    """Make the problem of fields that broke rules."""
    count = len(errors)
    detail = "One field is not valid." if count == 1 else f"{count} fields are not valid."
    return ProblemError(Problem.VALIDATION, detail, errors)


def invalid_fields(error: ValidationError) -> ProblemError:
    """Make the problem of a body's fields: each that broke a rule, and the rule, but no value."""
    details = error.errors(include_url=False, include_context=False, include_input=False)
    return invalid(*(_field_error(detail) for detail in details[:ERRORS_MAX]))


def not_found() -> ProblemError:
    """Make the problem of what is not there, or not this user's."""
    return ProblemError(Problem.NOT_FOUND, "There is no such thing here.")


def unavailable(detail: str) -> ProblemError:
    """Make the problem of what may work soon; the outcome of a write is unknown."""
    return ProblemError(Problem.UNAVAILABLE, detail, retry_after_s=RETRY_AFTER_S)


def _field_error(detail: ErrorDetails) -> FieldError:
    place = [str(part).replace("~", "~0").replace("/", "~1") for part in detail["loc"]]
    kind = detail["type"]
    rule = _RULES.get(kind, "type" if kind.endswith("_type") else "format")
    message = detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        known = place[0] in _READ_ONLY
        rule = "read_only" if known else "unknown_field"
        message = "is set by the server" if known else "is not known here"
    return FieldError(
        field="".join(f"/{part}" for part in place)[:1000], rule=rule, message=message
    )
