"""What comes over a socket and is hardly a request, or only a part of one."""

import asyncio
import json
from collections.abc import Sequence
from time import monotonic

import pytest

from api import protocol, requests
from tests.integration.api.world import Api, Person, read

POST = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\0b\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n",
        POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_bytes_that_are_no_request_are_told_so_in_a_problem_document(
    api: Api, raw: bytes
) -> None:
    status, headers, body = answer_of(await api.talk(raw))
    document = json.loads(body)
    assert status in {400, 404}
    assert b"content-type: application/problem+json" in headers
    assert b"x-request-id: " + document["request_id"].encode() in headers
    assert document["status"] == status


async def test_a_chunked_body_with_rubbish_in_its_frame_is_survived(api: Api) -> None:
    answer = await api.talk(POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n")
    assert answer_of(answer)[0] == 400
    assert (await api.client.get("/health/live")).status_code == 200


@pytest.mark.parametrize("frame", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n"])
async def test_a_body_that_ends_too_early_does_nothing(api: Api, ada: Person, frame: bytes) -> None:
    head = b"POST %b HTTP/1.1\r\nHost: x\r\n" % ada.path("/tasks").encode()
    bearer = f"Authorization: Bearer {ada.token}\r\n".encode()
    body = b'{"title":"x"}' if b"Length" in frame else b'd\r\n{"title":"x"}\r\n'
    await api.talk(head + bearer + frame + b"\r\n" + body, ends=True)
    assert read(await ada.ask("GET"))["items"] == []


async def test_a_body_that_does_not_come_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_S_MAX", 0.2)
    status, headers, body = answer_of(await api.talk(POST + b"Content-Length: 9\r\n\r\n{"))
    assert (status, json.loads(body)["type"]) == (400, "urn:taskflow:problem:malformed")
    assert b"connection: close" in headers


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-"])
async def test_a_head_that_does_not_come_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(protocol, "HEAD_S_MAX", 0.1)
    first = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    assert await api.talk(sent) == b""
    assert (await api.talk(first, sent or b"G")).count(b"HTTP/1.1") == 1


async def test_a_head_without_an_end_is_refused(api: Api) -> None:
    for part in (b"GET /" + b"x" * 40_000, b"X-A: b\r\n" * 5_000):
        head = b"GET / HTTP/1.1\r\nHost: x\r\n" if part.startswith(b"X") else b""
        status, headers, _ = answer_of(await api.talk(head + part, part[5:], part[5:]))
        assert status == 400
        assert b"content-type: application/problem+json" in headers


async def test_a_large_head_is_taken(api: Api) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: %b\r\n\r\n"
    assert answer_of(await api.talk(head % (b"x" * 60_000)))[0] == 200


async def test_a_body_in_many_small_parts_is_one_body(api: Api, ada: Person) -> None:
    raw = json.dumps({"title": "slow"}).encode()
    head = b"POST %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" % ada.path("/tasks").encode()
    bearer = f"Authorization: Bearer {ada.token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    parts = [b"1\r\n%c\r\n" % byte for byte in raw]
    assert answer_of(await api.talk(head + bearer, *parts, b"0\r\n\r\n"))[0] == 201


async def test_a_client_that_asks_first_is_refused_before_it_sends(api: Api) -> None:
    began_at = monotonic()
    ask = b"Content-Length: 1000000\r\nExpect: 100-continue\r\n\r\n"
    assert answer_of(await api.talk(POST + ask))[0] == 413
    assert monotonic() - began_at < requests.REST_S_MAX


async def test_who_announces_too_much_and_sends_nothing_is_answered_soon(api: Api) -> None:
    began_at = monotonic()
    assert answer_of(await api.talk(POST + b"Content-Length: 99999999\r\n\r\n"))[0] == 413
    assert monotonic() - began_at < requests.REST_S_MAX + 2


async def test_who_goes_away_during_its_request_leaves_the_others_alone(
    api: Api, ada: Person
) -> None:
    async def leave() -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", api.port)
        writer.write(b"GET %b HTTP/1.1\r\nHost: x\r\n" % ada.path("/tasks").encode())
        writer.write(f"Authorization: Bearer {ada.token}\r\n\r\n".encode())
        writer.transport.abort()

    await asyncio.gather(*(leave() for _ in range(20)))
    assert (await ada.ask("GET")).status_code == 200


async def test_two_requests_on_one_connection_are_answered_in_turn(api: Api) -> None:
    get = b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Request-ID: %b\r\n%b\r\n"
    raw = await api.talk(get % (b"one", b"") + get % (b"two", b"Connection: close\r\n"))
    assert 0 < raw.index(b"x-request-id: one") < raw.index(b"x-request-id: two")


async def test_a_websocket_knocking_at_the_wrong_port_is_told_that_nothing_is_there(
    api: Api,
) -> None:
    upgrade = b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    key = b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    status, headers, _ = answer_of(await api.talk(upgrade + key, ends=True))
    assert status == 404
    assert b"content-type: application/problem+json" in headers


@pytest.mark.parametrize("host", [b"[", b"[::1", b"a:b:c", b"\xff", b"", b"x:99999999", b"/@?#"])
@pytest.mark.parametrize("target", [b"PUT /api/x/tasks?\xff=%ff", b"GET /api/x/tasks/?%00"])
async def test_an_odd_host_is_of_no_interest(api: Api, host: bytes, target: bytes) -> None:
    head = b"%b HTTP/1.1\r\nHost: %b\r\nConnection: close\r\n\r\n"
    status, _, body = answer_of(await api.talk(head % (target, host)))
    assert status in {400, 404, 405}
    assert json.loads(body)["status"] == status


def answer_of(raw: bytes) -> tuple[int, Sequence[bytes], bytes]:
    """Give the status, the header lines in small letters, and the body of the last answer."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    return int(first.split()[1]), [line.lower() for line in headers], body
