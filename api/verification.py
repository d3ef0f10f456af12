"""Verification: a user shows that the account's address is theirs, by a token that came there."""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.authentication import path_user
from api.problems import invalid
from api.requests import parse_body, read_raw_body
from api.services import services
from schemas.notifications import Verified, VerifyBody
from schemas.problems import FieldError, Problem, ProblemError
from streams.store.mails import PAUSE_MIN, ask_for_verification, is_email_verified, verify_email


async def ask(request: Request) -> Response:
    """Ask for a mail with a token; of one that is verified, do nothing."""
    await read_raw_body(request)
    user_id = path_user(request)
    own = services(request)
    if await is_email_verified(own.database, user_id):
        return Response(status_code=204)
    if not await ask_for_verification(own.database, user_id):
        raise ProblemError(
            Problem.RATE_LIMITED,
            "A mail was asked for just now, or many today.",
            retry_after_s=int(PAUSE_MIN.total_seconds()),
        )
    own.bell.ring()
    return Response(status_code=202)


async def verify(request: Request) -> Response:
    """Take a token; whoever has it has read the mail, so nobody is asked who they are."""
    body = parse_body(request, await read_raw_body(request), VerifyBody)
    token_hash = sha256(body.token.strip().encode()).digest()
    if not await verify_email(services(request).database, token_hash):
        message = "is unknown, used, or too old"
        raise invalid(FieldError(field="/token", rule="token", message=message))
    return json_answer(Verified())
