"""Who may upgrade, and how it comes in."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.datastructures import Headers
from websockets.http11 import Request

from gateway.answers import Answer
from gateway.handshake import Door
from gateway.protocol import Entry
from schemas import codec
from schemas.frames import Close
from schemas.tokens import TokenKey

KEY = TokenKey("k" * 32)
NOW = datetime(2027, 1, 1, tzinfo=UTC)
USER = uuid4()
TOKEN = KEY.issue(USER, uuid4(), NOW)
EXPIRED = KEY.issue(USER, uuid4(), NOW - timedelta(hours=1))
DOOR = Door(KEY, ("https://app.example", "http://localhost:3000"))


def decide(*headers: tuple[str, str], path: str = "/ws") -> Entry | Answer:
    return DOOR.decide(Request(path, Headers([("Host", "tasks.example:8001"), *headers])), NOW)


def entry(*headers: tuple[str, str], path: str = "/ws") -> Entry:
    decided = decide(*headers, path=path)
    assert isinstance(decided, Entry)
    return decided


def answer(*headers: tuple[str, str]) -> Answer:
    decided = decide(*headers)
    assert isinstance(decided, Answer)
    return decided


def test_who_shows_nothing_is_asked() -> None:
    assert entry() == Entry()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER "])
def test_a_good_header_is_known(scheme: str) -> None:
    claims = entry(("Authorization", f"{scheme} {TOKEN}")).claims
    assert claims
    assert claims.sub == USER


@pytest.mark.parametrize(
    "shown", ["Bearer x", "Bearer", f"Bearer {EXPIRED}", f"Basic {TOKEN}", TOKEN, ""]
)
def test_a_bad_header_is_401_with_a_challenge_and_a_problem(shown: str) -> None:
    refused = answer(("Authorization", shown), ("X-Request-ID", "mine"))
    assert refused.status == 401
    assert ("WWW-Authenticate", "Bearer") in refused.headers
    assert ("X-Request-ID", "mine") in refused.headers
    body = codec.decode(refused.body)
    assert body["type"] == "urn:taskflow:problem:unauthenticated"
    assert (body["status"], body["request_id"]) == (401, "mine")


def test_two_headers_are_401() -> None:
    good = ("Authorization", f"Bearer {TOKEN}")
    assert answer(good, good).status == 401


@pytest.mark.parametrize("offered", ["taskflow.v1, bearer.{}", "bearer.{},taskflow.v1"])
def test_a_good_subprotocol_is_known(offered: str) -> None:
    claims = entry(("Sec-WebSocket-Protocol", offered.format(TOKEN))).claims
    assert claims
    assert claims.sub == USER


@pytest.mark.parametrize(
    ("shown", "refusal"),
    [
        ("bearer.x", Close.UNAUTHENTICATED),
        ("bearer.", Close.UNAUTHENTICATED),
        (f"bearer.{EXPIRED}", Close.TOKEN_EXPIRED),
        (f"bearer.{TOKEN}, bearer.{TOKEN}", Close.UNAUTHENTICATED),
    ],
)
def test_a_bad_subprotocol_comes_in_to_be_told(shown: str, refusal: Close) -> None:
    assert entry(("Sec-WebSocket-Protocol", f"taskflow.v1, {shown}")).refusal is refusal


def test_a_malformed_subprotocol_header_is_left_to_the_library() -> None:
    assert entry(("Sec-WebSocket-Protocol", "taskflow.v1, (")) == Entry()


def test_the_header_goes_before_the_subprotocol() -> None:
    both = (("Authorization", f"Bearer {TOKEN}"), ("Sec-WebSocket-Protocol", "bearer.x"))
    assert entry(*both).claims


@pytest.mark.parametrize(
    ("path", "position"),
    [("/ws", None), ("/ws?position=", None), ("/ws?position=a&position=b", "a")],
)
def test_a_position_is_taken_from_the_query(path: str, position: str | None) -> None:
    assert entry(path=path).position == position


def test_a_token_in_the_url_is_no_token() -> None:
    assert entry(path=f"/ws?token={TOKEN}&access_token={TOKEN}") == Entry()


@pytest.mark.parametrize(
    "origin",
    [
        "http://tasks.example:8001",
        "https://tasks.example:8001",
        "https://TASKS.example:8001",
        "https://app.example",
        "http://localhost:3000",
    ],
)
def test_the_own_host_and_the_allowed_origins_come_in(origin: str) -> None:
    assert entry(("Origin", origin)) == Entry()


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://tasks.example",
        "http://tasks.example:8002",
        "http://tasks.example.evil.example:8001",
        "http://app.example",
        "https://app.example:444",
        "ftp://tasks.example:8001",
        "null",
        "*",
        "",
        "http://[",
    ],
)
def test_a_strange_origin_is_403_even_with_a_good_token(origin: str) -> None:
    refused = answer(("Origin", origin), ("Authorization", f"Bearer {TOKEN}"))
    assert refused.status == 403


def test_two_origins_are_403() -> None:
    own = ("Origin", "http://tasks.example:8001")
    assert answer(own, own).status == 403


@pytest.mark.parametrize("origin", ["https://tasks.example", "https://tasks.example:443"])
def test_a_schemes_own_port_may_be_left_out(origin: str) -> None:
    request = Request("/ws", Headers([("Host", "tasks.example"), ("Origin", origin)]))
    assert DOOR.decide(request, NOW) == Entry()


header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["Origin", "Authorization", "Sec-WebSocket-Protocol", "X-Request-ID"]),
            header_text.filter(lambda text: "\x7f" not in text),
        ),
        max_size=4,
    )
)
def test_no_header_makes_the_door_fail_or_a_stranger_known(headers: list[tuple[str, str]]) -> None:
    decided = decide(*headers)
    assert isinstance(decided, Answer) or decided.claims is None
