"""Access tokens are JWTs (RFC 7519) of 15 minutes; both making and checking one are pure."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from uuid import UUID

import jwt
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.ids import new_id

LIFETIME = timedelta(minutes=15)
LEEWAY = timedelta(seconds=5)
TOKEN_CHARS_MAX = 4_096
_SECONDS_MAX = 253_402_214_400
"""The last day of the year 9999, after which a `datetime` cannot be made."""
_PARTY = "taskflow"
_ALGORITHM = "HS256"


class TokenError(ValueError):
    """The token is not one of ours, or no longer; the message says why and holds no part of it."""


class TokenExpiredError(TokenError):
    """The token was ours and its time is over."""


class Claims(BaseModel):
    """What a checked token says: who (`sub`), in which session (`sid`), until when (`exp`)."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    iss: str = Field(pattern=f"^{_PARTY}$")
    aud: str = Field(pattern=f"^{_PARTY}$")
    sub: UUID
    sid: UUID
    jti: UUID
    iat: int = Field(ge=0, le=_SECONDS_MAX)
    exp: int = Field(ge=0, le=_SECONDS_MAX)
    nbf: int = Field(default=0, ge=0, le=_SECONDS_MAX)

    @property
    def expires_at(self) -> datetime:
        """The instant after which the token is refused, leeway not counted."""
        return datetime.fromtimestamp(self.exp, UTC)

    @property
    def begins_at(self) -> datetime:
        """The instant before which the token is refused, leeway not counted."""
        return datetime.fromtimestamp(self.nbf, UTC)


@dataclass(frozen=True, slots=True)
class TokenKey:
    """The one HS256 key; its `kid` is made from it, so that a changed key is another `kid`."""

    secret: str = field(repr=False)

    @property
    def kid(self) -> str:
        """Eight bytes of a hash of the key, which tell nothing about it."""
        return sha256(b"taskflow kid\0" + self.secret.encode()).hexdigest()[:16]

    def issue(self, user_id: UUID, session_id: UUID, now: datetime) -> str:
        """Sign a token for a user's session, good for `LIFETIME` from `now`."""
        claims = {
            "iss": _PARTY,
            "aud": _PARTY,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": str(new_id()),
            "iat": int(now.timestamp()),
            "exp": int((now + LIFETIME).timestamp()),
        }
        return jwt.encode(claims, self.secret, _ALGORITHM, headers={"kid": self.kid})

    def check(self, token: str, now: datetime) -> Claims:
        """Give the claims of a good token; raise `TokenError` for every other text."""
        if len(token) > TOKEN_CHARS_MAX:
            raise TokenError("the token is too long")
        if not token.isascii():
            raise TokenError("the token is not valid")
        try:
            if jwt.get_unverified_header(token).get("kid") != self.kid:
                raise TokenError("the token's key is not known")
            payload = jwt.decode(
                token,
                self.secret,
                algorithms=[_ALGORITHM],
                options={
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
            claims = Claims.model_validate(payload)
        except jwt.InvalidTokenError as error:
            raise TokenError("the token is not valid") from error
        except ValidationError as error:
            raise TokenError("the token's claims are not complete") from error
        if now >= claims.expires_at + LEEWAY:
            raise TokenExpiredError("the token has expired")
        if now + LEEWAY < claims.begins_at:
            raise TokenError("the token does not count yet")
        return claims
