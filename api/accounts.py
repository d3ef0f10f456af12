"""Accounts: register, log in, and see who one is."""

from datetime import timedelta
from hashlib import sha256
from secrets import token_urlsafe

from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.authentication import no_account, token_user
from api.requests import parse_body, read_raw_body
from api.services import Services, services
from schemas.accounts import LoginBody, RegisterBody, Session, User
from schemas.ids import new_id
from schemas.problems import Problem, ProblemError
from schemas.tokens import LIFETIME
from streams.store.users import (
    EmailTakenError,
    NewAccount,
    NewSession,
    find_credentials,
    find_user,
    insert_session,
    insert_user,
)

REFRESH_LIFETIME = timedelta(days=30)
_SECRET_BYTES = 32
_NOT_KEPT = {"Cache-Control": "no-store"}
"""No cache on the way may keep a token (RFC 6749, section 5.1)."""


async def register(request: Request) -> Response:
    """Make an account, and open its first session."""
    own = services(request)
    body = parse_body(request, await read_raw_body(request), RegisterBody)
    account = NewAccount(
        id=new_id(),
        email=body.email,
        password_hash=await own.passwords.hash(body.password.get_secret_value()),
        name=body.name,
        timezone=body.timezone,
    )
    session, refresh_token = _new_session(own)
    try:
        user = await insert_user(own.database, account, session)
    except EmailTakenError as error:
        raise ProblemError(Problem.EMAIL_TAKEN, "Another account has this address.") from error
    return json_answer(_session_body(own, user, session, refresh_token), 201, _NOT_KEPT)


async def login(request: Request) -> Response:
    """Open a session; a wrong address and a wrong password are told alike, and as slowly."""
    own = services(request)
    body = parse_body(request, await read_raw_body(request), LoginBody)
    found = await find_credentials(own.database, body.email)
    known_hash = found[1] if found else None
    matches = await own.passwords.matches(body.password.get_secret_value(), known_hash)
    if not matches or found is None or known_hash is None:
        raise ProblemError(Problem.UNAUTHENTICATED, "The address or the password is wrong.")
    session, refresh_token = _new_session(own)
    if not await insert_session(own.database, found[0].id, session, known_hash):
        # The password was changed, and all sessions ended, while this one was being checked.
        raise ProblemError(Problem.UNAUTHENTICATED, "The address or the password is wrong.")
    return json_answer(_session_body(own, found[0], session, refresh_token), headers=_NOT_KEPT)


async def me(request: Request) -> Response:
    """Show the user of the token."""
    await read_raw_body(request)
    user = await find_user(services(request).database, token_user(request))
    if user is None:
        raise no_account()
    return json_answer(user)


def _new_session(own: Services) -> tuple[NewSession, str]:
    refresh_token = token_urlsafe(_SECRET_BYTES)
    session = NewSession(
        id=new_id(),
        token_hash=sha256(refresh_token.encode()).digest(),
        expires_at=own.now() + REFRESH_LIFETIME,
    )
    return session, refresh_token


def _session_body(own: Services, user: User, session: NewSession, refresh_token: str) -> Session:
    return Session(
        user=user,
        access_token=own.key.issue(user.id, session.id, own.now()),
        expires_in=int(LIFETIME.total_seconds()),
        refresh_token=refresh_token,
    )
