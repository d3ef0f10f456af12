"""Where a request breaks several rules, the contract says which one is told."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.integration.api.world import Api, Json, Person, problem, token

BIG = b"x" * 65_537
XML = {"Content-Type": "text/xml"}
STALE = {"If-Match": '"9"'}
NOBODY = {"Authorization": "Bearer nobody"}
MINE, GONE, NO_ID = "/tasks/{mine}", "/tasks/01890000-0000-7000-8000-00000000dead", "/tasks/42"
LATE = {"remind_at": "2020-01-01T00:00:00Z"}

Broken = tuple[str, str, dict[str, Any], int]
ORDER: list[Broken] = [
    # 405 before all else
    ("PUT", "/tasks", {"content": BIG, "headers": NOBODY | XML}, 405),
    ("POST", MINE, {"content": BIG, "headers": NOBODY | XML}, 405),
    ("DELETE", "/audit", {"headers": NOBODY}, 405),
    # 413 before 401
    ("POST", "/tasks", {"content": BIG, "headers": NOBODY | XML}, 413),
    ("PATCH", NO_ID, {"content": BIG, "headers": NOBODY | XML}, 413),
    ("POST", f"{GONE}/complete", {"content": BIG, "headers": NOBODY}, 413),
    ("DELETE", NO_ID, {"content": BIG, "headers": NOBODY}, 413),
    ("GET", NO_ID, {"content": BIG, "headers": NOBODY}, 413),
    ("GET", "/tasks?nonsense=1", {"content": BIG, "headers": NOBODY}, 413),
    ("GET", "/audit?nonsense=1", {"content": BIG, "headers": NOBODY}, 413),
    # 401 before 404, 415 and 422
    ("PATCH", NO_ID, {"content": b"{", "headers": NOBODY | XML}, 401),
    ("GET", "/tasks?nonsense=1", {"headers": NOBODY}, 401),
    ("GET", f"{NO_ID}?nonsense=1", {"headers": NOBODY}, 401),
    ("GET", "/audit?nonsense=1", {"headers": NOBODY}, 401),
    # 404 of the path before 415, 400 and 422
    ("PUT", NO_ID, {"content": b"{", "headers": XML | STALE}, 404),
    ("PATCH", NO_ID, {"content": b"{", "headers": XML | STALE}, 404),
    ("GET", f"{NO_ID}?nonsense=1", {}, 404),
    ("POST", f"{NO_ID}/complete", {"headers": STALE}, 404),
    # 415 before 400
    ("POST", "/tasks", {"content": b"{", "headers": XML}, 415),
    ("PATCH", GONE, {"content": b"{", "headers": XML | STALE}, 415),
    # 400 before 422, 404 of the row and 412
    ("PATCH", GONE, {"content": b'{"titel":1,"titel":2}', "headers": STALE}, 400),
    # 422 before 404 of the row
    ("PATCH", GONE, {"json": {"titel": "x"}, "headers": STALE}, 422),
    ("PUT", GONE, {"json": {}, "headers": STALE}, 422),
    ("GET", f"{GONE}?nonsense=1", {}, 422),
    # 422 before 412, also what only the clock refuses
    ("PATCH", MINE, {"json": {"titel": "x"}, "headers": STALE}, 422),
    ("PATCH", MINE, {"json": LATE, "headers": STALE}, 422),
    ("PUT", MINE, {"json": LATE | {"title": "x"}, "headers": STALE}, 422),
    # 404 of the row before 412
    ("PATCH", GONE, {"json": {}, "headers": STALE}, 404),
    ("DELETE", GONE, {"headers": STALE}, 404),
    ("POST", f"{GONE}/reopen", {"headers": STALE}, 404),
    # 412 even where nothing would change
    ("PATCH", MINE, {"json": {}, "headers": STALE}, 412),
    ("POST", f"{MINE}/reopen", {"headers": STALE}, 412),
    ("DELETE", MINE, {"headers": STALE}, 412),
]
CODES: Mapping[int, str] = {
    400: "malformed",
    401: "unauthenticated",
    404: "not-found",
    405: "method-not-allowed",
    412: "precondition-failed",
    413: "too-large",
    415: "unsupported-media-type",
    422: "validation",
}


@pytest.mark.parametrize(("method", "below", "options", "status"), ORDER)
async def test_the_first_of_several_problems_is_told(
    ada: Person, method: str, below: str, options: Json, status: int
) -> None:
    task = await ada.create()
    answer = await ada.ask(method, below.format(mine=task["id"]), **options)
    problem(answer, status, CODES[status])
    assert ("WWW-Authenticate" in answer.headers) == (status == 401)
    assert ("Allow" in answer.headers) == (status == 405)
    assert ("ETag" in answer.headers) == (status == 412)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/tasks", "GET, HEAD, POST"),
        ("/tasks/42", "DELETE, GET, HEAD, PATCH, PUT"),
        ("/tasks/42/complete", "PATCH, POST"),
        ("/audit", "GET, HEAD"),
        ("/audit?%ff", "GET, HEAD"),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "TRACE", "PROPFIND"])
async def test_a_method_that_is_not_done_is_told_with_those_that_are(
    ada: Person, path: str, allowed: str, method: str
) -> None:
    answer = await ada.ask(method, path)
    problem(answer, 405, "method-not-allowed")
    assert answer.headers["Allow"] == allowed


@pytest.mark.parametrize("path", ["/api/a%3Fb/tasks", "/api/a%23b/tasks", "/api/%ff/tasks"])
async def test_odd_segments_name_nobody(api: Api, ada: Person, path: str) -> None:
    problem(await api.client.get(path, headers=ada.bearer), 404, "not-found")
    allowed = (await api.client.put(path, headers=ada.bearer)).headers["Allow"]
    assert allowed == "GET, HEAD, POST"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", ["/api/auth/tasks", "/api/me/tasks", "/api/auth/tasks/login"])
async def test_a_word_in_place_of_a_user_id_is_nobody(
    api: Api, ada: Person, path: str, method: str
) -> None:
    if path.endswith("login"):
        method = "GET"
    problem(await api.client.request(method, path), 401, "unauthenticated")
    problem(await api.client.request(method, path, headers=ada.bearer), 404, "not-found")


@pytest.mark.parametrize(
    "path", ["", "/", "/api", "/api/auth", "/api/auth/nothing", "/health", "/favicon.ico", "//"]
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
async def test_an_unknown_path_is_404_with_any_method(api: Api, path: str, method: str) -> None:
    problem(await api.client.request(method, path), 404, "not-found")


async def test_a_path_with_a_slash_too_many_is_not_redirected(api: Api, ada: Person) -> None:
    answer = await ada.ask("POST", "/tasks/", json={"title": "x"})
    problem(answer, 404, "not-found")
    assert "Location" not in answer.headers
    problem(await api.client.get("/health/live/"), 404, "not-found")


async def test_head_is_answered_as_get_without_the_body(ada: Person) -> None:
    task = await ada.create()
    for below in ("/tasks", f"/tasks/{task['id']}", "/audit", "/tasks/42", "/tasks?nonsense=1"):
        got, head = await ada.ask("GET", below), await ada.ask("HEAD", below)
        assert head.status_code == got.status_code
        assert head.content == b""
        for name in ("Content-Type", "Content-Length", "ETag"):
            assert head.headers.get(name) == got.headers.get(name)


async def test_all_of_another_user_is_404_as_what_does_not_exist(ada: Person, bob: Person) -> None:
    task = await ada.create()

    def told(answer: httpx.Response) -> Json:
        return problem(answer, 404, "not-found") | {"request_id": ""}

    nobody = Person(uuid4(), bob.token, bob.client)
    for user in (Person(ada.id, bob.token, bob.client), bob):
        for method, below, body in (
            ("GET", "", None),
            ("PUT", "", {"title": "stolen"}),
            ("PATCH", "", {"title": "stolen"}),
            ("DELETE", "", None),
            ("POST", "/complete", None),
            ("POST", "/reopen", None),
        ):
            real = await user.ask(method, f"/tasks/{task['id']}{below}", json=body, headers=STALE)
            none = await nobody.ask(method, f"/tasks/{uuid4()}{below}", json=body, headers=STALE)
            assert told(real) == told(none)
            assert set(real.headers) == set(none.headers)
    for below in ("/tasks", "/audit", "/tasks?nonsense=1"):
        assert told(await Person(ada.id, bob.token, bob.client).ask("GET", below)) == told(
            await nobody.ask("GET", below)
        )
    theirs = await Person(ada.id, bob.token, bob.client).ask("POST", json={"title": "x"})
    assert told(theirs) == told(await nobody.ask("POST", json={"title": "x"}))
    assert (await ada.ask("GET", f"/tasks/{task['id']}")).json() == task
    assert (await bob.ask("GET")).json() == {"items": [], "next_cursor": None}


async def test_the_own_id_in_capitals_is_another_name_and_so_nobody(ada: Person) -> None:
    shouted = f"/api/{str(ada.id).upper()}/tasks"
    problem(await ada.client.get(shouted, headers=ada.bearer), 404, "not-found")


async def test_a_token_that_outlived_its_account_opens_nothing(api: Api) -> None:
    gone = Person(uuid4(), "", api.client)
    gone = Person(gone.id, token(gone.id), api.client)
    for tags in ([], ["home"]):
        answer = await gone.ask("POST", json={"title": "x", "tags": tags})
        problem(answer, 401, "unauthenticated")
    me = await api.client.get("/api/auth/me", headers=gone.bearer)
    problem(me, 401, "unauthenticated")
    assert (await gone.ask("GET")).json()["items"] == []
