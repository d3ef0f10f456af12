"""Accounts in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.accounts import User
from streams.store.database import Database, Fault, Row, Session, StoreError

_COLUMNS = "id, email, name, timezone, created_at, updated_at"

_INSERT = f"""
    WITH account AS (
        INSERT INTO users (id, email, email_key, password_hash, name, timezone)
        VALUES ($1, $2, $3, $4, $5, $6)
        RETURNING {_COLUMNS}
    ), session AS (
        INSERT INTO refresh_tokens (id, user_id, session_id, token_hash, expires_at)
        SELECT $7, id, $7, $8, $9 FROM account
    )
    SELECT * FROM account"""

_INSERT_SESSION = """
    INSERT INTO refresh_tokens (id, user_id, session_id, token_hash, expires_at)
    SELECT $1, id, $1, $3, $4 FROM users WHERE id = $2 AND password_hash = $5
       -- Not beside a change of the password, which ends all sessions that it sees.
       FOR SHARE
    RETURNING id"""

_FIND = f"SELECT {_COLUMNS} FROM users WHERE id = $1"
_TIMEZONES = "SELECT id, timezone FROM users WHERE id = ANY ($1::uuid[])"
_FIND_BY_EMAIL = f"SELECT {_COLUMNS}, password_hash FROM users WHERE email_key = $1"


class EmailTakenError(Exception):
    """Another account has this address."""


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account that is to be made; the password is hashed already."""

    id: UUID
    email: str
    password_hash: str
    name: str | None
    timezone: str


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that is to be opened; only the hash of its refresh token is kept."""

    id: UUID
    token_hash: bytes
    expires_at: datetime


async def insert_user(database: Database, account: NewAccount, session: NewSession) -> User:
    """Make an account and its first session in one statement; raise `EmailTakenError`."""
    try:
        row = await database.fetchrow(
            _INSERT,
            account.id,
            account.email,
            account.email.casefold(),
            account.password_hash,
            account.name,
            account.timezone,
            session.id,
            session.token_hash,
            session.expires_at,
        )
    except StoreError as error:
        if error.fault is Fault.DATA and error.constraint == "users_email_key_key":
            raise EmailTakenError from error
        raise
    if row is None:
        raise AssertionError("an INSERT without a condition gives its row")
    return _user(row)


async def insert_session(
    database: Database, user_id: UUID, session: NewSession, password_hash: str
) -> bool:
    """Open a session; False if the password's hash is another one by now."""
    row = await database.fetchrow(
        _INSERT_SESSION, session.id, user_id, session.token_hash, session.expires_at, password_hash
    )
    return row is not None


async def find_user(database: Database, user_id: UUID) -> User | None:
    """Give an account by its id."""
    row = await database.fetchrow(_FIND, user_id)
    return _user(row) if row else None


async def find_credentials(database: Database, email: str) -> tuple[User, str] | None:
    """Give an account by its address, compared without case, and its password's hash."""
    row = await database.fetchrow(_FIND_BY_EMAIL, email.strip().casefold())
    return (_user(row), row["password_hash"]) if row else None


async def timezones_of(session: Session, user_ids: Sequence[UUID]) -> Mapping[UUID, str]:
    """Give the time zones of those accounts that there are."""
    rows = await session.fetch(_TIMEZONES, list(user_ids))
    return {row["id"]: row["timezone"] for row in rows}


def _user(row: Row) -> User:
    return User(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        timezone=row["timezone"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
