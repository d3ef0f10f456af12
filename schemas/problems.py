"""Errors over HTTP are RFC 9457 problem documents with a fixed set of types."""

from dataclasses import dataclass, field
from enum import Enum

from pydantic import BaseModel, ConfigDict, Field

CONTENT_TYPE = "application/problem+json"
_URN = "urn:taskflow:problem:"


class Problem(Enum):
    """Every kind of problem: its name, HTTP status and title."""

    MALFORMED = ("malformed", 400, "The request could not be read")
    UNAUTHENTICATED = ("unauthenticated", 401, "Authentication is required")
    NOT_FOUND = ("not-found", 404, "Not found")
    METHOD_NOT_ALLOWED = ("method-not-allowed", 405, "Method not allowed")
    CONFLICT = ("conflict", 409, "Conflict")
    EMAIL_TAKEN = ("email-taken", 409, "The email address is taken")
    GONE = ("gone", 410, "Gone")
    PRECONDITION_FAILED = ("precondition-failed", 412, "The resource has changed")
    TOO_LARGE = ("too-large", 413, "The body is too large")
    UNSUPPORTED_MEDIA_TYPE = ("unsupported-media-type", 415, "Unsupported media type")
    VALIDATION = ("validation", 422, "A field is not valid")
    RATE_LIMITED = ("rate-limited", 429, "Too many requests")
    INTERNAL = ("internal", 500, "Something went wrong here")
    UNAVAILABLE = ("unavailable", 503, "Not available now")

    def __init__(self, code: str, status: int, title: str) -> None:
        self.code = code
        self.status = status
        self.title = title

    @property
    def urn(self) -> str:
        """The `type` of the document, which clients compare."""
        return _URN + self.code


class FieldError(BaseModel):
    """One rule that one field broke; the field is an RFC 6901 pointer or a parameter's name."""

    model_config = ConfigDict(frozen=True)

    field: str = Field(max_length=1_000)
    rule: str = Field(max_length=100)
    message: str = Field(max_length=1_000)


class ProblemBody(BaseModel):
    """The body of every error answer."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(max_length=100)
    title: str = Field(max_length=200)
    status: int = Field(ge=400, le=599)
    detail: str = Field(max_length=2_000)
    request_id: str = Field(max_length=64)
    errors: tuple[FieldError, ...] = Field(default=(), max_length=100)


@dataclass(eq=False)
class ProblemError(Exception):
    """Raised where a request cannot go on; the API turns it into its document.

    `retry_after_s` is sent as Retry-After, and is always there with 429 and 503.
    """

    problem: Problem
    detail: str
    errors: tuple[FieldError, ...] = field(default=())
    retry_after_s: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
