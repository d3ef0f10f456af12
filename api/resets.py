"""Resets: who forgot a password is mailed a token, and nobody learns whose address is known."""

from hashlib import sha256

from starlette.requests import Request
from starlette.responses import Response

from api.clients import client_network
from api.problems import invalid
from api.requests import parse_body, read_raw_body
from api.services import services
from schemas.accounts import ForgotBody, ResetBody
from schemas.problems import FieldError, Problem, ProblemError
from streams.store.mails import PAUSE_MIN
from streams.store.resets import ask_for_reset, reset_password


async def forgot(request: Request) -> Response:
    """Ask for a mail with a token; the answer is the same for every address, and as quick."""
    body = parse_body(request, await read_raw_body(request), ForgotBody)
    own = services(request)
    if not await ask_for_reset(own.database, body.email, client_network(request)):
        raise ProblemError(
            Problem.RATE_LIMITED,
            "A mail was asked for just now, or many today, or many from this network.",
            retry_after_s=int(PAUSE_MIN.total_seconds()),
        )
    own.bell.ring()
    return Response(status_code=202)


async def reset(request: Request) -> Response:
    """Take a token and a new password; every session of the account ends.

    The password is hashed before the token is looked at, so that both cases take as long.
    """
    body = parse_body(request, await read_raw_body(request), ResetBody)
    own = services(request)
    password_hash = await own.passwords.hash(body.password.get_secret_value())
    token_hash = sha256(body.token.strip().encode()).digest()
    if not await reset_password(own.database, token_hash, password_hash):
        message = "is unknown, used, or too old"
        raise invalid(FieldError(field="/token", rule="token", message=message))
    own.bell.ring()
    return Response(status_code=204)
