"""Accounts: who may register, who gets in, and what they are given."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import Any
from uuid import UUID

import httpx
import pytest

from api import passwords
from api.passwords import Passwords
from schemas.tokens import LIFETIME
from tests.integration.api.world import KEY, Api, Json, broken, problem, read

PASSWORD = "correct horse"


def fresh(at: str = "example.org") -> str:
    return f"ada-{token_hex(6)}@{at}"


async def register(api: Api, **fields: Any) -> httpx.Response:
    body = {"email": fresh(), "password": PASSWORD} | fields
    return await api.client.post("/api/auth/register", json=body)


async def login(api: Api, email: str, password: str = PASSWORD) -> httpx.Response:
    body = {"email": email, "password": password}
    return await api.client.post("/api/auth/login", json=body)


def session_of(answer: httpx.Response, status: int) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    body = read(answer)
    assert list(body) == ["user", "access_token", "token_type", "expires_in", "refresh_token"]
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert list(body["user"]) == ["id", "email", "name", "timezone", "created_at", "updated_at"]
    return body


async def test_who_registers_has_an_account_and_a_session(api: Api) -> None:
    email = fresh()
    made = session_of(
        await register(api, email=f" {email}\t", name=" Ada ", timezone="Asia/Tokyo"), 201
    )
    user = made["user"]
    assert (user["email"], user["name"], user["timezone"]) == (email, "Ada", "Asia/Tokyo")
    assert UUID(user["id"]).version == 7
    assert user["created_at"].endswith("Z")
    bearer = {"Authorization": f"bearer {made['access_token']}"}
    me = await api.client.get("/api/auth/me", headers=bearer)
    assert (me.status_code, read(me)) == (200, user)
    tasks = await api.client.get(f"/api/{user['id']}/tasks", headers=bearer)
    assert tasks.status_code == 200
    opened = session_of(await login(api, email), 200)
    assert opened["user"] == user
    assert opened["refresh_token"] != made["refresh_token"]


async def test_a_name_and_a_zone_may_be_left_out(api: Api) -> None:
    user = session_of(await register(api), 201)["user"]
    assert (user["name"], user["timezone"]) == (None, "UTC")


async def test_a_token_says_whose_it_is_in_which_session_and_for_how_long(api: Api) -> None:
    made = session_of(await register(api), 201)
    again = session_of(await login(api, made["user"]["email"]), 200)
    now = datetime.now(UTC)
    one, other = (KEY.check(body["access_token"], now) for body in (made, again))
    assert {one.iss, one.aud} == {"taskflow"}
    assert str(one.sub) == made["user"]["id"]
    assert one.exp - one.iat == LIFETIME.total_seconds()
    assert one.sid != other.sid
    assert one.jti != other.jti
    rows = await api.database.fetch(
        "SELECT session_id, token_hash FROM refresh_tokens WHERE user_id = $1 ORDER BY id", one.sub
    )
    kept = [(row["session_id"], row["token_hash"]) for row in rows]
    assert kept == [
        (claims.sid, sha256(body["refresh_token"].encode()).digest())
        for claims, body in ((one, made), (other, again))
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("ada@{}.org", "ADA@{}.ORG"),
        ("élodie@{}.org", "ÉLODIE@{}.org"),
        ("straße@{}.org", "STRASSE@{}.org"),
    ],
)
async def test_an_address_is_the_same_however_its_letters_are_cased(
    api: Api, first: str, second: str
) -> None:
    domain = token_hex(6)
    user = session_of(await register(api, email=first.format(domain)), 201)["user"]
    taken = await register(api, email=f" {second.format(domain)} ")
    problem(taken, 409, "email-taken")
    for email in (first, second):
        opened = session_of(await login(api, f"\n{email.format(domain)} "), 200)
        assert opened["user"] == user


async def test_of_many_who_take_an_address_at_once_one_gets_it(api: Api) -> None:
    email = fresh()
    answers = await asyncio.gather(*(register(api, email=email) for _ in range(6)))
    assert Counter(answer.status_code for answer in answers) == {201: 1, 409: 5}


@pytest.mark.parametrize(
    ("fields", "field", "rule"),
    [
        ({"password": "😀" * 9}, "/password", "min_length"),
        ({"password": "😀" * 129}, "/password", "max_length"),
        ({"password": 1234567890}, "/password", "type"),
        ({"password": None}, "/password", "type"),
        *(
            ({"timezone": bad}, "/timezone", "format")
            for bad in ("", "Mars", "utc", "../etc", "+01")
        ),
        ({"timezone": None}, "/timezone", "type"),
        ({"timezone": "x" * 65}, "/timezone", "max_length"),
        *(
            ({"email": bad}, "/email", "format")
            for bad in ("ada", "a@b", "a b@c.de", "a@@b.de", "@b.de")
        ),
        *(
            ({"email": bad}, "/email", "format")
            for bad in ("a@b..de", "a@.de", "a\n@b.de", "a@b.de.")
        ),
        ({"email": "a@" + "b" * 250 + ".de"}, "/email", "max_length"),
        ({"email": " "}, "/email", "min_length"),
        ({"name": " "}, "/name", "min_length"),
        ({"name": "x" * 201}, "/name", "max_length"),
        ({"admin": True}, "/admin", "unknown_field"),
        ({"id": "01a20f16-7c5b-70a0-a17b-77c5ef6a4fec"}, "/id", "read_only"),
    ],
)
async def test_a_field_of_an_account_that_breaks_a_rule_is_named(
    api: Api, fields: Json, field: str, rule: str
) -> None:
    assert broken(await register(api, **fields)) == [(field, rule)]


@pytest.mark.parametrize("password", ["😀" * 10, "x" * 128, "  spaces  "])
async def test_a_password_within_its_limits_is_kept_to_the_letter(api: Api, password: str) -> None:
    email = session_of(await register(api, password=password), 201)["user"]["email"]
    session_of(await login(api, email, password), 200)
    problem(await login(api, email, password.strip() + " x"), 401, "unauthenticated")


async def test_a_wrong_address_and_a_wrong_password_are_told_alike(api: Api) -> None:
    email = session_of(await register(api), 201)["user"]["email"]
    answers = [
        await login(api, email, "wrong password"),
        await login(api, fresh(), PASSWORD),
        await login(api, "no address", ""),
        await login(api, email, "x" * 1_000),
    ]
    told = [problem(answer, 401, "unauthenticated") | {"request_id": ""} for answer in answers]
    assert told.count(told[0]) == len(told)
    assert {answer.headers["WWW-Authenticate"] for answer in answers} == {"Bearer"}


async def test_without_a_known_hash_a_password_is_hashed_all_the_same() -> None:
    checked: list[str] = []

    class Watched(Passwords):
        def _verify(self, known_hash: str, password: str) -> bool:
            checked.append(known_hash)
            return super()._verify(known_hash, password)

    watched = Watched()
    known = await watched.hash(PASSWORD)
    assert await watched.matches(PASSWORD, known)
    assert not await watched.matches(PASSWORD, None)
    assert not await watched.matches("nobody's password", None)
    assert not await watched.matches(PASSWORD, "no hash at all")
    assert checked[0] == known
    parameters = {kept.rpartition("$")[0].rpartition("$")[0] for kept in checked[:3]}
    assert parameters == {known.rpartition("$")[0].rpartition("$")[0]}


async def test_a_flood_of_logins_is_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "WAIT_S_MAX", 0.01)
    answers = await asyncio.gather(*(login(api, fresh()) for _ in range(8)))
    turned_away = [answer for answer in answers if answer.status_code != 401]
    assert turned_away
    for answer in turned_away:
        problem(answer, 503, "unavailable")
        assert int(answer.headers["Retry-After"]) >= 1


async def test_the_hash_that_is_kept_is_argon2id_and_no_two_are_alike(api: Api) -> None:
    for _ in range(2):
        session_of(await register(api), 201)
    rows = await api.database.fetch(
        "SELECT password_hash FROM users WHERE password_hash <> 'no hash'"
    )
    hashes = [row["password_hash"] for row in rows]
    assert all(kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$") for kept in hashes)
    assert len(set(hashes)) == len(hashes)
