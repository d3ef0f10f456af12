"""Only a token that this deployment signed for a user, and that lives, lets its bearer in."""

import json
import logging
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from hmac import digest
from secrets import token_hex
from uuid import uuid4

import pytest

from schemas.tokens import LIFETIME, TokenKey
from tests.integration.api.world import KEY, SECRET, Api, Json, Person, problem, token


def b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Json, claims: Json | bytes, secret: str = SECRET, mac: str = "sha256") -> str:
    """Sign whatever is given, as no library would."""
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    content = f"{b64(json.dumps(header).encode())}.{b64(payload)}"
    return f"{content}.{b64(digest(secret.encode(), content.encode(), mac))}"


def claims_of(person: Person, **changed: object) -> Json:
    now = int(datetime.now(UTC).timestamp())
    ids = {"sub": str(person.id), "sid": str(uuid4()), "jti": str(uuid4())}
    return {"iss": "taskflow", "aud": "taskflow", "iat": now, "exp": now + 900, **ids, **changed}


HEADER = {"alg": "HS256", "typ": "JWT", "kid": KEY.kid}


async def status(person: Person, text: str) -> int:
    bearer = {"Authorization": f"Bearer {text}"}
    answer = await person.client.get(person.path("/tasks"), headers=bearer)
    if answer.status_code == 401:
        body = problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert not text or text not in json.dumps(body)
    return answer.status_code


async def test_a_token_made_by_the_book_lets_in(ada: Person) -> None:
    assert await status(ada, signed(HEADER, claims_of(ada))) == 200
    head = json.loads(urlsafe_b64decode(ada.token.split(".")[0] + "=="))
    assert head == HEADER
    assert KEY.kid == sha256(b"taskflow kid\0" + SECRET.encode()).hexdigest()[:16]


async def test_a_token_lives_for_its_time_and_five_seconds(ada: Person) -> None:
    assert await status(ada, token(ada.id, LIFETIME + timedelta(seconds=3))) == 200
    assert await status(ada, token(ada.id, LIFETIME + timedelta(seconds=7))) == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "other"},
        {"aud": ["taskflow"]},
        {"aud": None},
        {"iss": "other"},
        {"iss": "taskflow\n"},
        {"sub": "42"},
        {"sub": None},
        {"sid": ""},
        {"jti": 1},
        {"exp": None},
        {"exp": "soon"},
        {"exp": 10**20},
        {"exp": -1},
        {"exp": 0},
        {"iat": None},
    ],
)
async def test_a_claim_that_is_wrong_or_missing_is_401(ada: Person, changed: Json) -> None:
    assert await status(ada, signed(HEADER, claims_of(ada, **changed))) == 401
    left = {name: value for name, value in claims_of(ada).items() if name not in changed}
    assert await status(ada, signed(HEADER, left)) == 401


@pytest.mark.parametrize(
    "changed",
    [
        *({"alg": alg} for alg in ("none", "None", "HS512", "RS256", None)),
        *({"kid": kid} for kid in ("other", None, 1, ["x"])),
        {"crit": ["exp"]},
        {"b64": False},
    ],
)
async def test_another_algorithm_or_key_id_is_401(ada: Person, changed: Json) -> None:
    header = HEADER | changed
    claims = claims_of(ada)
    for text in (
        signed(header, claims),
        signed(header, claims, mac="sha512"),
        signed(header, claims).rpartition(".")[0] + ".",
    ):
        assert await status(ada, text) == 401
    left = {name: value for name, value in HEADER.items() if name not in changed}
    if left != HEADER:
        assert await status(ada, signed(left, claims)) == 401


async def test_a_signature_by_another_secret_is_401(ada: Person) -> None:
    other = TokenKey(token_hex(32))
    assert await status(ada, other.issue(ada.id, uuid4(), datetime.now(UTC))) == 401
    assert await status(ada, signed(HEADER, claims_of(ada), secret=other.secret)) == 401
    swapped = ada.token.rpartition(".")[0] + "." + token(ada.id).rpartition(".")[2]
    assert await status(ada, swapped) == 401


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "..", "a.b.c", "=.=.=", "x" * 5_000, "é.é.é", "bearer bearer"),
        *(b64(head) + ".e30.e30" for head in (b"[" * 3_000, b"\xff", b'{"kid":"\\ud800"}')),
    ],
)
async def test_a_text_that_is_no_token_is_401(ada: Person, text: str) -> None:
    bearer = [(b"Authorization", b"Bearer " + text.encode("latin-1") if text else b"Bearer")]
    answer = await ada.client.get(ada.path("/tasks"), headers=bearer)
    problem(answer, 401, "unauthenticated")


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 2_000])
async def test_a_well_signed_payload_that_is_no_object_is_401(ada: Person, payload: bytes) -> None:
    assert await status(ada, signed(HEADER, payload)) == 401


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer:", "JWT"])
async def test_another_scheme_is_401(ada: Person, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {ada.token}".strip()}
    answer = await ada.client.get("/api/auth/me", headers=headers)
    problem(answer, 401, "unauthenticated")


async def test_a_token_is_not_taken_from_elsewhere(ada: Person) -> None:
    for options in ({"params": {"access_token": ada.token}}, {"headers": {"Cookie": ada.token}}):
        answer = await ada.client.get("/api/auth/me", **options)  # type: ignore[arg-type]
        problem(answer, 401, "unauthenticated")


async def test_nothing_secret_is_logged_or_told(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    email, password = f"{token_hex(6)}@example.org", f"secret-{token_hex(8)}"
    wrong = f"secret-{token_hex(8)}"

    async def send(path: str, body: object, **headers: str) -> str:
        answer = await api.client.post(f"/api/auth/{path}", json=body, headers=headers)
        return answer.text

    made = json.loads(await send("register", {"email": email, "password": password}))
    hashes = await api.database.fetch("SELECT password_hash FROM users WHERE email = $1", email)
    told = [
        await send("register", {"email": email, "password": password}),
        await send("register", {"email": "no", "password": password, "x": wrong}),
        await send("register", {"email": "no", "password": [password], "timezone": wrong}),
        await send("register", [password]),
        await send("login", {"email": email, "password": wrong}),
        await send("login", {"email": wrong, "password": password}),
        await send("login", {"email": [password], "password": {"a": wrong}}),
    ]
    for text in (made["access_token"] + "x", made["refresh_token"]):
        bearer = {"Authorization": f"Bearer {text}"}
        told.append((await api.client.get("/api/auth/me", headers=bearer)).text)
        told.append((await api.client.get(f"/api/{uuid4()}/tasks", headers=bearer)).text)
    secrets = [password, wrong, made["access_token"], made["refresh_token"], SECRET]
    secrets.append(hashes[0]["password_hash"])
    shown = caplog.text + "".join(told)
    assert not [secret for secret in secrets if secret in shown]
