"""Who asks: the token's subject, and nobody else, is the user of a request."""

from uuid import UUID

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from api.problems import not_found
from api.requests import path_id
from api.services import services
from schemas.events import Actor, ActorKind, TraceParent
from schemas.problems import Problem, ProblemError
from schemas.tokens import TokenError
from streams.store.tasks import Origin

_TRACE_PARENT: TypeAdapter[str] = TypeAdapter(TraceParent)


def token_user(request: Request) -> UUID:
    """Give the user of a request's token, or raise 401."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise ProblemError(Problem.UNAUTHENTICATED, "Send an access token: Authorization: Bearer …")
    found = services(request)
    try:
        return found.key.check(token.strip(), found.now()).sub
    except TokenError as error:
        raise ProblemError(Problem.UNAUTHENTICATED, f"Refused: {error}.") from error


def no_account() -> ProblemError:
    """Make the problem of a token that has outlived its account."""
    return ProblemError(Problem.UNAUTHENTICATED, "The account is no longer there.")


def path_user(request: Request) -> UUID:
    """Give the user of a request's path, who must be the token's subject; another is 404."""
    user_id = token_user(request)
    if path_id(request, "user_id") != user_id:
        raise not_found()
    return user_id


def origin(request: Request, user_id: UUID) -> Origin:
    """Say who asks for a write, and within which trace if the client told a valid one."""
    try:
        trace = _TRACE_PARENT.validate_python(request.headers.get("traceparent"))
    except ValidationError:
        trace = None
    return Origin(Actor(kind=ActorKind.USER, id=str(user_id)), trace)
