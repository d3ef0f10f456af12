"""Accounts: what is asked to make or open one, and what is answered."""

import re
from datetime import datetime
from functools import cache
from typing import Annotated, Literal
from uuid import UUID
from zoneinfo import available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, StringConstraints

PASSWORD_MIN, PASSWORD_MAX = 10, 128
_EMAIL = re.compile(r"[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f.]+(\.[^@\s\x00-\x1f.]+)+")


def _an_address(text: str) -> str:
    if not _EMAIL.fullmatch(text):
        raise ValueError("must be an email address, as in ada@example.org")
    return text


@cache
def _zones() -> frozenset[str]:
    """List the zones once: it is read from hundreds of files, in 13 ms and more.

    `localtime` is among them on some systems, and means another zone on each machine.
    """
    return frozenset(available_timezones() - {"localtime"})


def _a_zone(text: str) -> str:
    if text not in _zones():
        raise ValueError("must be an IANA time zone, as in Europe/Berlin")
    return text


Email = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=3, max_length=254),
    AfterValidator(_an_address),
]
Timezone = Annotated[str, StringConstraints(max_length=64), AfterValidator(_a_zone)]
Password = Annotated[SecretStr, Field(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)]
UserName = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


class RegisterBody(BaseModel):
    """What `POST /api/auth/register` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    email: Email
    password: Password
    name: UserName | None = None
    timezone: Timezone = "UTC"


class LoginBody(BaseModel):
    """What `POST /api/auth/login` takes; a password of any length may be wrong."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    email: Annotated[str, StringConstraints(strip_whitespace=True, max_length=254)]
    password: SecretStr = Field(max_length=1_000)


class ForgotBody(BaseModel):
    """What `POST /api/auth/password/forgot` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    email: Email


class ResetBody(BaseModel):
    """What `POST /api/auth/password/reset` takes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    token: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(repr=False)
    password: Password


class User(BaseModel):
    """A user as the user sees it."""

    model_config = ConfigDict(frozen=True)

    id: UUID
    email: str = Field(max_length=254)
    name: str | None = Field(max_length=200)
    timezone: str = Field(max_length=64)
    created_at: datetime
    updated_at: datetime


class Session(BaseModel):
    """What a successful register, login or refresh answers."""

    model_config = ConfigDict(frozen=True)

    user: User
    access_token: str = Field(max_length=4_096, repr=False)
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the name of a scheme
    expires_in: int = Field(ge=1)
    refresh_token: str = Field(max_length=255, repr=False)
