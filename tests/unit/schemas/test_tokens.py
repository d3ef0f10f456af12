"""Access tokens: ours, of now, and nothing else."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hmac import digest
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.tokens import (
    LEEWAY,
    LIFETIME,
    TOKEN_CHARS_MAX,
    TokenError,
    TokenExpiredError,
    TokenKey,
)

SECRET = "s" * 32
KEY = TokenKey(SECRET)
NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
USER = UUID("018f0000-0000-7000-8000-000000000001")
SESSION = UUID("018f0000-0000-7000-8000-000000000002")
HEADER: dict[str, object] = {"alg": "HS256", "typ": "JWT", "kid": KEY.kid}
CLAIMS: dict[str, object] = {
    "iss": "taskflow",
    "aud": "taskflow",
    "sub": str(USER),
    "sid": str(SESSION),
    "jti": str(SESSION),
    "iat": int(NOW.timestamp()),
    "exp": int((NOW + LIFETIME).timestamp()),
}
# An HMAC by hand, so that what the library would refuse to sign can be signed.
_HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


def packed(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: object = HEADER, claims: object = CLAIMS, secret: str = SECRET) -> str:
    """Sign any header and claims as an HS256 token is signed, with the right key or another."""
    body = f"{packed(json.dumps(header).encode())}.{packed(json.dumps(claims).encode())}"
    alg = header.get("alg") if isinstance(header, dict) else None
    hash_name = _HASHES.get(alg, "sha256") if isinstance(alg, str) else "sha256"
    return f"{body}.{packed(digest(secret.encode(), body.encode(), hash_name))}"


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims, _ = token.split(".")
    return (
        json.loads(urlsafe_b64decode(header + "==")),
        json.loads(urlsafe_b64decode(claims + "==")),
    )


@given(st.uuids(), st.uuids(), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))  # noqa: DTZ001
def test_a_token_says_who_and_until_when(user: UUID, session: UUID, naive: datetime) -> None:
    now = naive.replace(tzinfo=UTC)
    claims = KEY.check(KEY.issue(user, session, now), now)
    assert (claims.sub, claims.sid) == (user, session)
    assert timedelta(0) <= now + LIFETIME - claims.expires_at < timedelta(seconds=1)


def test_a_token_has_the_contracts_header_and_claims() -> None:
    header, claims = parts(KEY.issue(USER, SESSION, NOW))
    assert header == HEADER
    assert claims == CLAIMS | {"jti": claims["jti"]}
    assert claims["exp"] - claims["iat"] == 900


def test_a_token_ends_five_seconds_after_its_time_and_not_before() -> None:
    token = KEY.issue(USER, SESSION, NOW)
    end = NOW + LIFETIME + LEEWAY
    assert KEY.check(token, end - timedelta(microseconds=1)).sub == USER
    with pytest.raises(TokenExpiredError):
        KEY.check(token, end)


def test_a_token_of_a_clock_that_is_ahead_is_taken() -> None:
    token = KEY.issue(USER, SESSION, NOW + timedelta(hours=1))
    assert KEY.check(token, NOW).sub == USER


def test_a_token_signed_by_hand_is_like_one_of_ours() -> None:
    assert KEY.check(forged(), NOW).sub == USER


@pytest.mark.parametrize(
    "header",
    [
        HEADER | {"alg": "none"},
        HEADER | {"alg": "None"},
        HEADER | {"alg": "HS384"},
        HEADER | {"alg": "HS512"},
        HEADER | {"alg": "RS256"},
        HEADER | {"alg": "ES256"},
        HEADER | {"alg": ["HS256"]},
        HEADER | {"alg": None},
        {"typ": "JWT", "kid": KEY.kid},
        HEADER | {"kid": TokenKey("o" * 32).kid},
        HEADER | {"kid": None},
        HEADER | {"kid": [KEY.kid]},
        HEADER | {"kid": "../../dev/null"},
        {"alg": "HS256", "typ": "JWT"},
        HEADER | {"crit": ["exp"]},
        HEADER | {"b64": False},
        [],
        "HS256",
        None,
    ],
)
def test_a_header_other_than_ours_is_refused_whatever_signs_it(header: object) -> None:
    with pytest.raises(TokenError):
        KEY.check(forged(header), NOW)


def test_a_token_without_its_signature_is_refused() -> None:
    unsigned = forged(HEADER | {"alg": "none"}).rpartition(".")[0]
    for token in (unsigned, f"{unsigned}.", KEY.issue(USER, SESSION, NOW).rpartition(".")[0] + "."):
        with pytest.raises(TokenError):
            KEY.check(token, NOW)


def test_a_token_of_another_key_is_refused_even_under_our_kid() -> None:
    for token in (TokenKey("o" * 32).issue(USER, SESSION, NOW), forged(secret="o" * 32)):
        with pytest.raises(TokenError):
            KEY.check(token, NOW)


@pytest.mark.parametrize(
    "claims",
    [
        *({name: value for name, value in CLAIMS.items() if name != left} for left in CLAIMS),
        CLAIMS | {"aud": "other"},
        CLAIMS | {"aud": ["taskflow", "other"]},
        CLAIMS | {"iss": "other"},
        CLAIMS | {"iss": "taskflow\n"},
        CLAIMS | {"sub": "root"},
        CLAIMS | {"sub": None},
        CLAIMS | {"exp": None},
        CLAIMS | {"exp": -1},
        CLAIMS | {"exp": "soon"},
        CLAIMS | {"exp": 253_402_300_799},
        CLAIMS | {"exp": 10**18},
        CLAIMS | {"exp": 1e308},
        [],
        "taskflow",
    ],
)
def test_claims_that_are_not_complete_are_refused_even_with_our_signature(claims: object) -> None:
    with pytest.raises(TokenError):
        KEY.check(forged(claims=claims), NOW)


@pytest.mark.parametrize(
    "nbf",
    [int((NOW + LEEWAY).timestamp()) + 1, 253_402_214_400, -1, 10**18, None, "soon", [], 1.5],
)
def test_a_token_that_does_not_count_yet_is_refused(nbf: object) -> None:
    with pytest.raises(TokenError) as caught:
        KEY.check(forged(claims=CLAIMS | {"nbf": nbf}), NOW)
    assert not isinstance(caught.value, TokenExpiredError)


def test_a_token_counts_from_its_nbf_less_the_leeway_by_the_clock_that_is_passed_in() -> None:
    begins = datetime(2090, 1, 1, tzinfo=UTC)
    claims = CLAIMS | {
        "nbf": int(begins.timestamp()),
        "exp": int((begins + LIFETIME).timestamp()),
    }
    assert KEY.check(forged(claims=claims), begins - LEEWAY).begins_at == begins
    with pytest.raises(TokenError):
        KEY.check(forged(claims=claims), begins - LEEWAY - timedelta(microseconds=1))


@given(st.data())
def test_a_token_with_any_character_changed_is_refused(data: st.DataObject) -> None:
    token = KEY.issue(USER, SESSION, NOW)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != token[place]))
    with pytest.raises(TokenError):
        KEY.check(token[:place] + other + token[place + 1 :], NOW)


@given(st.text(max_size=200) | st.text(alphabet="eyJ0.-_=\udcff\xff", max_size=60))
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        KEY.check(text, NOW)


@pytest.mark.parametrize("header", [b"[" * 3_000, b'{"a":' * 550, b"\xff", b"{", b'{"alg":NaN}'])
def test_a_header_that_cannot_be_read_is_refused(header: bytes) -> None:
    with pytest.raises(TokenError):
        KEY.check(f"{packed(header)}.e30.e30", NOW)


def test_a_token_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(TokenError, match="too long"):
        KEY.check("a" * (TOKEN_CHARS_MAX + 1), NOW)


def test_an_error_holds_no_part_of_the_token() -> None:
    token = forged(claims=CLAIMS | {"sub": "a-name-of-somebody"})
    with pytest.raises(TokenError) as caught:
        KEY.check(token, NOW)
    assert "somebody" not in str(caught.value)
    assert token[:20] not in str(caught.value)


def test_the_key_is_in_no_text_and_its_kid_tells_nothing() -> None:
    assert SECRET not in repr(KEY)
    assert KEY.kid not in SECRET
    assert TokenKey(SECRET + "x").kid != KEY.kid == TokenKey(SECRET).kid
