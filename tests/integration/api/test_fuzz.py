"""Whatever is sent, the answer is what the contract allows, and never a failure of ours."""

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.api.test_tasks import FIELDS, FULL
from tests.integration.api.world import Api, Person

FUZZ = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,  # a run that fails says something about this commit, not about its luck
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
NASTY = st.sampled_from(
    [
        *("", " ", "\0", "\ufeff", "\u202e", "%", "%00", "'", '"', "\\", "{}", "\r\n", "￿", "١٢"),
        *("null", "-1", "0", "9" * 400, "1e9", "2027-02-30", "0000-00-00", "9999-12-31", "true"),
        *("2027-01-31T08:00:60Z", "2027-01-31T24:00:00+99:99", "9999-12-31T23:59:59.999999999Z"),
        *(str(uuid4()), "../..", "a" * 501, "😀" * 51, "İ", "ß" * 50, "e\u0301"),
    ]
)
TEXT = st.one_of(NASTY, st.text(max_size=30))
NUMBERS = st.one_of(st.integers(), st.floats(), st.just(2**63), st.just(-(2**63) - 1))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=3)),
    max_leaves=6,
)
KEYS = st.one_of(st.sampled_from([*FIELDS, "email", "password", "name", "timezone"]), TEXT)
ALMOST = st.dictionaries(KEYS, VALUES, max_size=6).map(lambda odd: {"title": "x"} | odd)
GOOD_BUT_ONE = st.tuples(st.sampled_from([*FULL]), VALUES).map(lambda one: FULL | dict([one]))
BODIES = st.one_of(
    st.binary(max_size=200),
    VALUES.map(lambda value: json.dumps(value).encode()),
    ALMOST.map(lambda value: json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")),
    GOOD_BUT_ONE.map(lambda value: json.dumps(value).encode()),
)
HEADER_TEXT = st.one_of(
    st.sampled_from([b"Bearer", b"Bearer a.b.c", b"Basic x", b'"1"', b"*", b"W/", b",", b"a; b=c"]),
    st.binary(max_size=60).map(
        lambda raw: bytes(byte for byte in raw if byte > 32 and byte != 127)
    ),
)
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *(b"Authorization", b"If-Match", b"If-None-Match", b"Content-Type", b"Host"),
                *(b"X-Request-ID", b"traceparent", b"Origin", b"Accept", b"Cookie", b"Range"),
                *(b"Access-Control-Request-Method", b"X-Forwarded-For", b"Idempotency-Key"),
            ]
        ),
        HEADER_TEXT,
    ),
    max_size=4,
    unique_by=lambda header: header[0],
)
METHODS = st.sampled_from(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
QUERY_NAMES = st.one_of(st.sampled_from(["limit", "cursor", "task_id", "event_type"]), TEXT)


def well(answer: httpx.Response) -> None:
    """Check what holds of every answer."""
    assert answer.status_code < 500, answer.text
    assert answer.headers["X-Request-ID"]
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["Content-Type"] == "application/problem+json"
        document = answer.json()
        assert document["request_id"] == answer.headers["X-Request-ID"]
        assert document["status"] == answer.status_code
        assert document["type"].startswith("urn:taskflow:problem:")
        assert bool(document["errors"]) == (answer.status_code == 422)


@FUZZ
@given(raw=BODIES)
async def test_any_body_is_taken_or_refused_with_a_reason(
    api: Api, fuzzer: Person, raw: bytes
) -> None:
    task = await _any_task(fuzzer)
    for method, below in (("POST", ""), ("PUT", task), ("PATCH", task), ("POST", f"{task}/reopen")):
        well(await fuzzer.ask(method, f"/tasks{below}", content=raw))
    well(await api.client.post("/api/auth/login", content=raw))


@FUZZ
@given(parameters=st.lists(st.tuples(QUERY_NAMES, TEXT), max_size=4), raw=st.text(max_size=20))
async def test_any_query_is_answered_or_refused_with_a_reason(
    fuzzer: Person, parameters: list[tuple[str, str]], raw: str
) -> None:
    for below in ("/tasks", "/audit"):
        well(await fuzzer.ask("GET", below, params=parameters))
        well(await fuzzer.ask("GET", f"{below}?limit={quote(raw.encode('utf-16'))}&{quote(raw)}"))


@FUZZ
@given(segments=st.lists(TEXT, min_size=1, max_size=4), method=METHODS)
async def test_any_path_is_answered(fuzzer: Person, segments: list[str], method: str) -> None:
    below = "/".join(quote(segment, safe="") for segment in segments)
    for path in (f"/{below}", f"/api/{below}", fuzzer.path(f"/tasks/{below}")):
        well(
            await fuzzer.client.request(
                method, str(fuzzer.client.base_url).rstrip("/") + path, headers=fuzzer.bearer
            )
        )


@FUZZ
@given(headers=HEADERS, method=METHODS)
async def test_any_headers_are_survived(
    fuzzer: Person, headers: list[tuple[bytes, bytes]], method: str
) -> None:
    task = await _any_task(fuzzer)
    mine = [(b"Authorization", fuzzer.bearer["Authorization"].encode())]
    for sent in (headers, mine + headers):
        for below in ("/tasks", f"/tasks{task}", f"/tasks{task}/complete", "/audit"):
            request: Any = {
                "headers": sent,
                "content": b"{}" if method in {"PUT", "PATCH"} else b"",
            }
            well(await fuzzer.client.request(method, fuzzer.path(below), **request))


async def _any_task(person: Person) -> str:
    items = (await person.ask("GET", "/tasks?limit=1")).json()["items"]
    return f"/{(items[0] if items else await person.create())['id']}"
