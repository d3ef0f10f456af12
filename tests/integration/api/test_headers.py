"""Entity tags, request ids, and what every answer has."""

from uuid import UUID

import pytest

from tests.integration.api.world import Api, Person, problem, read


@pytest.mark.parametrize("header", ['"1"', 'W/"1"', "*", '"7", "1"', '"7" , W/"1"', '"7",,"1"'])
async def test_who_has_the_task_already_is_told_so(ada: Person, header: str) -> None:
    task = await ada.create()
    answer = await ada.ask("GET", f"/tasks/{task['id']}", headers={"If-None-Match": header})
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == '"1"'
    assert UUID(answer.headers["X-Request-ID"]).version == 7


@pytest.mark.parametrize("header", ['"2"', "1", '"01"', "", '"1', "'1'"])
async def test_who_has_something_else_gets_the_task(ada: Person, header: str) -> None:
    task = await ada.create()
    answer = await ada.ask("GET", f"/tasks/{task['id']}", headers={"If-None-Match": header})
    assert (answer.status_code, read(answer)) == (200, task)
    assert answer.headers["ETag"] == '"1"'


@pytest.mark.parametrize("header", ['"1"', "*", '"7", "1"'])
async def test_a_write_goes_on_if_the_version_is_the_one_meant(ada: Person, header: str) -> None:
    below = f"/tasks/{(await ada.create())['id']}"
    condition = {"If-Match": header}
    answer = await ada.ask("PATCH", below, json={"title": "x"}, headers=condition)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    if header != "*":
        answer = await ada.ask("PATCH", below, json={"title": "y"}, headers=condition)
        problem(answer, 412, "precondition-failed")
        assert answer.headers["ETag"] == '"2"'


@pytest.mark.parametrize("header", ['W/"1"', "1", "", '"2"'])
async def test_a_write_stops_at_any_other_version_and_at_a_weak_tag(
    ada: Person, header: str
) -> None:
    below = f"/tasks/{(await ada.create())['id']}"
    for method, path in (("PUT", below), ("POST", f"{below}/complete"), ("DELETE", below)):
        body = {"title": "x"} if method == "PUT" else None
        answer = await ada.ask(method, path, json=body, headers={"If-Match": header})
        problem(answer, 412, "precondition-failed")


async def test_a_condition_on_several_lines_is_one_list(api: Api, ada: Person) -> None:
    path = ada.path(f"/tasks/{(await ada.create())['id']}")
    lines = [("Authorization", f"Bearer {ada.token}")]
    match = [*lines, ("If-Match", '"7"'), ("If-Match", '"1"')]
    assert (await api.client.patch(path, json={}, headers=match)).status_code == 200
    none_match = [*lines, ("If-None-Match", '"7"'), ("If-None-Match", '"1"')]
    assert (await api.client.get(path, headers=none_match)).status_code == 304


@pytest.mark.parametrize("path", ["/health/live", "/api/auth/me", "/nothing", "/metrics"])
async def test_every_answer_has_the_request_id_that_the_client_chose(api: Api, path: str) -> None:
    for given in ("a", "A-z.0_9", "x" * 64):
        answer = await api.client.get(path, headers={"X-Request-ID": given})
        assert answer.headers["X-Request-ID"] == given
        if answer.status_code >= 400:
            assert read(answer)["request_id"] == given


@pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a/b", "ä".encode("latin-1"), "a,b"])
async def test_another_request_id_is_replaced_by_a_new_one(api: Api, given: str | bytes) -> None:
    seen = set()
    for _ in range(2):
        answer = await api.client.get("/nothing", headers=[(b"X-Request-ID", _bytes(given))])
        seen.add(answer.headers["X-Request-ID"])
        assert read(answer)["request_id"] == answer.headers["X-Request-ID"]
    assert len(seen) == 2
    assert all(UUID(request_id).version == 7 for request_id in seen)


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode()
