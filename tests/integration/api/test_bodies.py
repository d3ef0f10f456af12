"""Bodies are strict JSON within a limit, and whatever else comes is told apart and survived."""

import json
from typing import Any

import pytest

from api.requests import BODY_BYTES_MAX
from tests.integration.api.world import Api, Person, broken, problem, read

MALFORMED = {
    "empty": b"",
    "blank": b" \n",
    "cut": b'{"title":"x"',
    "two": b'{"title":"x"}{}',
    "word": b"title=x",
    "comment": b'{"title":"x"/**/}',
    "trailing comma": b'{"title":"x",}',
    "BOM": b'\xef\xbb\xbf{"title":"x"}',
    "UTF-16": '{"title":"x"}'.encode("utf-16"),
    "bad UTF-8": b'{"title":"\xff"}',
    "overlong UTF-8": b'{"title":"\xc0\xaf"}',
    "UTF-8 surrogate": b'{"title":"\xed\xa0\x80"}',
    "lone surrogate": rb'{"title":"\ud800"}',
    "surrogate key": rb'{"\udc00":1,"title":"x"}',
    "NUL": rb'{"title":"a\u0000b"}',
    "NUL key": rb'{"title":"x","\u0000":1}',
    "NUL inside": rb'{"title":"x","tags":["a\u0000"]}',
    "raw NUL": b'{"title":"a\0b"}',
    "raw newline": b'{"title":"a\nb"}',
    "NaN": b'{"title":"x","recurrence_interval":NaN}',
    "Infinity": b'{"title":"x","recurrence_interval":-Infinity}',
    "too large a float": b'{"title":"x","recurrence_interval":1e999}',
    "duplicate key": b'{"title":"x","title":"y"}',
    "duplicate key inside": b'{"title":"x","tags":[{"a":1,"a":2}]}',
    "escaped duplicate key": rb'{"title":"x","t\u0069tle":"y"}',
    "5,000 digits": b'{"title":"x","recurrence_interval":' + b"9" * 5_000 + b"}",
    "deep arrays": b"[" * 30_000,
    "deep objects": b'{"a":' * 1_500 + b"1" + b"}" * 1_500,
    "deep in a field": b'{"title":' + b"[" * 1_020 + b"]" * 1_020 + b"}",
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_not_strict_json_is_400_everywhere(ada: Person, name: str) -> None:
    raw = MALFORMED[name]
    as_json = {"Content-Type": "application/json"}
    task = await ada.create()
    for method, below in (("POST", ""), ("PUT", f"/{task['id']}"), ("PATCH", f"/{task['id']}")):
        answer = await ada.ask(method, f"/tasks{below}", content=raw, headers=as_json)
        problem(answer, 400, "malformed")
    for path in ("register", "login"):
        answer = await ada.client.post(f"/api/auth/{path}", content=raw, headers=as_json)
        problem(answer, 400, "malformed")


@pytest.mark.parametrize("raw", [b"[]", b"null", b'"title"', b"1", b'[{"title":"x"}]', b"true"])
async def test_json_that_is_no_object_is_422(ada: Person, raw: bytes) -> None:
    assert broken(await ada.ask("POST", content=raw)) == [("", "object")]
    answer = await ada.client.post("/api/auth/login", content=raw)
    assert broken(answer) == [("", "object")]


@pytest.mark.parametrize(
    "media_type",
    [
        *("text/plain", "application/x-www-form-urlencoded", "application/jsonp", "json", "*/*"),
        *("application/json, text/plain", "application/merge-patch+json", " ", "ä/ö"),
    ],
)
async def test_another_media_type_is_415(ada: Person, media_type: str) -> None:
    headers = {"Content-Type": media_type.encode("latin-1").strip()}
    answer = await ada.ask("POST", content=b'{"title":"x"}', headers=headers)
    problem(answer, 415, "unsupported-media-type")
    if "merge" not in media_type:
        below = f"/tasks/{(await ada.create())['id']}"
        answer = await ada.ask("PATCH", below, content=b"{}", headers=headers)
        problem(answer, 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "media_type", ["application/json", "Application/JSON ; charset=UTF-8", 'application/json;a="b"']
)
async def test_json_is_known_however_it_is_spelled(ada: Person, media_type: str) -> None:
    headers = {"Content-Type": media_type}
    answer = await ada.ask("POST", content='{"title":"ä"}'.encode(), headers=headers)
    assert (answer.status_code, read(answer)["title"]) == (201, "ä")


async def test_json_may_use_every_escape_and_come_without_a_media_type(ada: Person) -> None:
    raw = rb'{"title":"\ud83d\ude00\/\"\\\b\u00e9","description":"\\u0000"}'
    task = read(await ada.ask("POST", content=raw))
    assert (task["title"], task["description"]) == ('😀/"\\\b\u00e9', "\\u0000")


async def test_the_largest_body_is_taken_and_one_byte_more_is_413(ada: Person) -> None:
    largest = b'{"title":"x"}'.ljust(BODY_BYTES_MAX)

    async def chunks(body: bytes) -> Any:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    assert (await ada.ask("POST", content=largest)).status_code == 201
    assert (await ada.ask("POST", content=chunks(largest))).status_code == 201
    for content in (largest + b" ", chunks(largest + b" ")):
        answer = await ada.ask("POST", content=content)
        problem(answer, 413, "too-large")
        assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize("kib", [65, 100, 500, 1_000])
async def test_who_sends_too_much_gets_to_read_why(api: Api, ada: Person, kib: int) -> None:
    """A connection that is closed over unread bytes is reset, and its answer may be lost."""
    for _ in range(3):
        problem(await ada.ask("POST", content=b"x" * kib * 1024), 413, "too-large")
        length = b"Content-Length: %d\r\n\r\n" % (kib * 1024)
        heads = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
        for head in (length, b"Transfer-Encoding: chunked\r\n\r\n"):
            body = b"x" * kib * 1024
            framed = body if head is length else b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            assert b"413 Request" in (await api.talk(heads + head + framed)).partition(b"\r\n")[0]


async def test_an_unauthenticated_stranger_may_not_send_more_either(api: Api) -> None:
    for path in ("/api/auth/register", "/api/auth/login"):
        answer = await api.client.post(path, content=json.dumps({"email": "x" * 70_000}))
        problem(answer, 413, "too-large")
