"""Browsers of other origins, and machines that look after the API."""

import pytest

from tests.integration.api.world import ALLOWED_ORIGIN, Api, Person, problem, read

FORBIDDEN = ["https://evil.example", "null", "http://app.example", "https://app.example.evil"]


def preflight(origin: str, method: str = "PATCH", headers: str = "authorization") -> dict[str, str]:
    return {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": headers,
    }


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
async def test_an_allowed_origin_may_call_with_all_that_the_api_reads(
    api: Api, method: str
) -> None:
    headers = "authorization, content-type, if-match, if-none-match, x-request-id, traceparent"
    answer = await api.client.options(
        "/api/x/tasks", headers=preflight(ALLOWED_ORIGIN, method, headers)
    )
    assert answer.status_code == 200
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
    assert method in answer.headers["Access-Control-Allow-Methods"]
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert "Origin" in answer.headers["Vary"]
    assert answer.headers["X-Request-ID"]


async def test_an_allowed_origin_sees_answers_and_errors_and_their_headers(ada: Person) -> None:
    task = await ada.create()
    for below in (f"/tasks/{task['id']}", "/tasks/42", "/tasks?nonsense=1"):
        answer = await ada.ask("GET", below, headers={"Origin": ALLOWED_ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
        shown = answer.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Location", "X-Request-ID", "Retry-After"} <= set(shown)
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize("origin", FORBIDDEN)
async def test_another_origin_may_not_call(api: Api, ada: Person, origin: str) -> None:
    refused = await api.client.options("/api/x/tasks", headers=preflight(origin))
    problem(refused, 400, "malformed")
    plain = await ada.ask("GET", headers={"Origin": origin})
    assert plain.status_code == 200
    for answer in (refused, plain):
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert answer.headers["Vary"] == "Origin"


@pytest.mark.parametrize(("method", "headers"), [("TRACE", ""), ("GET", "x-evil")])
async def test_an_allowed_origin_may_not_call_with_anything_else(
    api: Api, method: str, headers: str
) -> None:
    asks = preflight(ALLOWED_ORIGIN, method, headers)
    problem(await api.client.options("/api/x/tasks", headers=asks), 400, "malformed")


async def test_a_live_and_ready_api_says_so(api: Api) -> None:
    assert read(await api.client.get("/health/live")) == {"status": "ok"}
    ready = await api.client.get("/health/ready")
    assert (ready.status_code, ready.headers["Content-Type"]) == (200, "application/json")
    assert read(ready) == {"status": "ready", "checks": {"database": "ok"}}
    for path in ("/health/live", "/health/ready", "/metrics"):
        problem(await api.client.post(path), 405, "method-not-allowed")


async def test_requests_are_counted_by_route_and_strangers_make_no_labels(
    api: Api, ada: Person
) -> None:
    task = await ada.create()
    await ada.ask("GET", f"/tasks/{task['id']}")
    await ada.ask("GET", "/tasks/stray-id")
    for method in ("GET", "PURGE", "MKCOL"):
        await api.client.request(method, "/stray/path")
    await api.client.request("PURGE", "/api/stray/tasks")
    await api.client.options("/stray", headers=preflight(ALLOWED_ORIGIN))
    answer = await api.client.get("/metrics")
    text = answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    route = "/api/{user_id}/tasks/{task_id}"
    for status in (200, 404):
        line = 'taskflow_http_requests_total{method="GET",route="%s",status="%d"}'
        assert line % (route, status) in text
    assert 'method="other",route="unknown",status="404"' in text
    assert 'taskflow_http_request_seconds_bucket{le="0.1",method="GET"' in text
    assert "stray" not in text.lower()
    assert str(ada.id) not in text
