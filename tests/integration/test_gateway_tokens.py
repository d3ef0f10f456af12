"""Bad tokens by each of the three ways, tokens in the URL, and pages of other sites."""

import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from websockets.typing import Origin, Subprotocol

from schemas.frames import FRAME_BYTES_MAX
from schemas.tokens import LEEWAY, TOKEN_CHARS_MAX
from tests.integration.gateway_world import (
    KEY,
    PING,
    World,
    auth,
    closed,
    hello,
    refused,
    token,
    world,
)
from tests.unit.schemas.test_tokens import CLAIMS, HEADER, forged

EXPIRED, REFUSED = (4002, "token_expired"), (4100, "unauthenticated")


def good(**changed: object) -> dict[str, object]:
    """Claims of now, with some changed; None takes one away."""
    now = int(datetime.now(UTC).timestamp())
    claims = CLAIMS | {"iat": now, "exp": now + 900} | changed
    return {name: value for name, value in claims.items() if value is not None}


def in_s(seconds: float) -> int:
    return int((datetime.now(UTC) + timedelta(seconds=seconds)).timestamp())


BAD: dict[str, tuple[Callable[[], str], tuple[int, str]]] = {
    "expired": (lambda: forged(claims=good(exp=in_s(-6))), EXPIRED),
    "another kid": (lambda: forged(HEADER | {"kid": "0" * 16}, good()), REFUSED),
    "no kid": (lambda: forged({"alg": "HS256"}, good()), REFUSED),
    "alg none": (
        lambda: forged(HEADER | {"alg": "none"}, good()).rpartition(".")[0] + ".",
        REFUSED,
    ),
    "alg none, but signed": (lambda: forged(HEADER | {"alg": "none"}, good()), REFUSED),
    "RS256, signed as HS256": (lambda: forged(HEADER | {"alg": "RS256"}, good()), REFUSED),
    "HS512": (lambda: forged(HEADER | {"alg": "HS512"}, good()), REFUSED),
    "signed with what is public": (lambda: forged(claims=good(), secret=KEY.kid), REFUSED),
    "another audience": (lambda: forged(claims=good(aud="other")), REFUSED),
    "more than one audience": (lambda: forged(claims=good(aud=["taskflow", "x"])), REFUSED),
    "another issuer": (lambda: forged(claims=good(iss="other")), REFUSED),
    "not yet": (lambda: forged(claims=good(nbf=in_s(60))), REFUSED),
    "no end": (lambda: forged(claims=good(exp=None)), REFUSED),
    "rubbish": (lambda: "rubbish", REFUSED),
    "rubbish with dots": (lambda: "a.b.c", REFUSED),
    "as long as may be": (lambda: "a" * TOKEN_CHARS_MAX, REFUSED),
    "too long": (lambda: "a" * (TOKEN_CHARS_MAX + 1), REFUSED),
}
ROWS = [pytest.param(make, code, id=name) for name, (make, code) in BAD.items()]


def offered(text: str) -> list[Subprotocol]:
    return [Subprotocol("taskflow.v1"), Subprotocol(f"bearer.{text}")]


@pytest.mark.parametrize(("make", "code"), ROWS)
async def test_a_bad_token_in_the_header_is_401(
    make: Callable[[], str], code: tuple[int, str]
) -> None:
    async with world() as here:
        answer = await refused(here, additional_headers={"Authorization": f"Bearer {make()}"})
    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert (b"expired" in answer.body) == (code == EXPIRED)


@pytest.mark.parametrize(("make", "code"), ROWS)
async def test_a_bad_token_among_the_subprotocols_is_told_by_a_close_code(
    make: Callable[[], str], code: tuple[int, str]
) -> None:
    async with world() as here, here.connect(subprotocols=offered(make())) as client:
        assert client.subprotocol == "taskflow.v1"
        assert await closed(client) == code


@pytest.mark.parametrize(("make", "code"), ROWS)
async def test_a_bad_token_in_a_frame_is_told_by_a_close_code(
    make: Callable[[], str], code: tuple[int, str]
) -> None:
    """One that is longer than a frame's token may be is no frame of the protocol."""
    text = make()
    async with world() as here, here.connect() as client:
        await client.send(auth(text))
        assert await closed(client) == ((4102, "bad_frame") if len(text) > 4_096 else code)


async def test_a_token_that_has_begun_or_begins_within_the_leeway_is_good() -> None:
    async with world() as here:
        for nbf in (0, in_s(-60), in_s(LEEWAY.total_seconds() - 1)):
            text = forged(claims=good(nbf=nbf))
            async with here.connect(subprotocols=offered(text)) as client:
                await hello(client)


async def test_a_header_without_end_is_431_and_a_frame_without_end_4103() -> None:
    async with world() as here:
        bad = {"Authorization": "Bearer " + "a" * 20_000}
        assert (await refused(here, additional_headers=bad)).status_code == 431
        async with here.connect() as client:
            await client.send(auth("a" * FRAME_BYTES_MAX))
            assert await closed(client) == (4103, "frame_too_large")


async def shut_out(here: World, path: str) -> None:
    """Connect with nothing but a path, and be nobody."""
    async with here.connect(path=path) as client:
        await client.send(PING)
        assert await closed(client) == REFUSED


@pytest.mark.parametrize("name", ["token", "access_token", "bearer", "authorization", "jwt"])
async def test_a_token_in_the_url_is_none_and_no_query_is_ever_logged(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    text = token(uuid4())
    query = f"{name}={text}&position=here"
    async with world() as here:
        await shut_out(here, f"/ws?{query}")
        await refused(here, path=f"/ws?types=rubbish&{query}")
        await refused(here, path=f"/nowhere?{query}")
        await refused(here, path=f"/ws?{query}", origin=Origin("null"))
        async with here.connect(path=f"/ws?{query}", subprotocols=offered(text)) as client:
            await hello(client)
            await client.send(json.dumps({"type": "auth", "token": text, "more": text}))
            assert await closed(client) == (4102, "bad_frame")
    lines = [
        f"{record.getMessage()} {record.exc_text}"
        for record in caplog.records
        if record.name != "websockets.client"  # the test's own end of the line
    ]
    assert lines
    for secret in (text, text[-20:], f"{name}=", "position=here"):
        assert not [line for line in lines if secret in line]


async def test_a_page_of_another_site_is_403_whatever_it_looks_like() -> None:
    user = uuid4()
    async with world(cors_origins="https://app.example") as here:
        own = f"127.0.0.1:{here.running.port}"
        for origin in (
            "null",
            "https://evil.example",
            f"http://{own}.evil.example",
            f"http://evil.example:{here.running.port}",
            f"http://{own}@evil.example",
            "http://127.0.0.1",
            "https://app.example.evil.example",
            "https://evilapp.example",
            "https://app.example:8443",
            "http://app.example",
        ):
            answer = await refused(here, user, origin=Origin(origin))
            assert answer.status_code == 403, origin
            answer = await refused(here, origin=Origin(origin), subprotocols=offered(token(user)))
            assert answer.status_code == 403, origin
