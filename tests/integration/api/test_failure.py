"""When the database is away, or something breaks here, callers are told what they may rely on."""

import asyncio
import logging
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from streams.embedded.postgres import PostgresServer
from streams.store.database import open_database
from streams.store.migrations import migrate_up
from tests.integration.api.world import (
    ALLOWED_ORIGIN,
    Api,
    Person,
    problem,
    read,
    running_api,
    token,
)
from tests.servers import Servers
from tests.stack import free_port
from tests.waiting import eventually

BACK_S_MAX = 15.0


@pytest.fixture(scope="module")
async def own_server() -> AsyncIterator[PostgresServer]:
    """Give a PostgreSQL that may be killed."""
    servers = Servers()
    yield servers.postgres
    servers.stop()


@pytest.fixture(scope="module")
async def shaken(own_server: PostgresServer) -> AsyncIterator[Api]:
    """Give an API on a database that may go away."""
    url = own_server.make_database("shaken")
    async with open_database(url) as database:
        await migrate_up(database)
    async with running_api(url) as api:
        yield api


def unavailable(answer: httpx.Response) -> None:
    problem(answer, 503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1


async def readiness(api: Api) -> tuple[int, dict[str, object]]:
    answer = await api.client.get("/health/ready")
    return answer.status_code, read(answer)


async def test_an_api_whose_database_was_never_there_lives_and_is_not_ready() -> None:
    nowhere = f"postgresql://nobody:x@127.0.0.1:{free_port()}/none"
    async with running_api(nowhere) as api:
        assert read(await api.client.get("/health/live")) == {"status": "ok"}
        status, body = await readiness(api)
        assert (status, body["status"]) == (503, "not_ready")
        user_id = uuid4()
        person = Person(user_id, token(user_id), api.client)
        unavailable(await person.ask("POST", json={"title": "x"}))
        unavailable(await person.ask("GET"))
        unavailable(await person.ask("DELETE", f"/tasks/{uuid4()}"))
        account = {"email": "a@example.org", "password": "correct horse"}
        for path in ("register", "login"):
            unavailable(await api.client.post(f"/api/auth/{path}", json=account))


async def test_a_database_that_comes_back_is_found_again_and_has_all_that_was_answered(
    shaken: Api, own_server: PostgresServer
) -> None:
    ada = await shaken.person()
    kept = await ada.create()
    assert await readiness(shaken) == (200, {"status": "ready", "checks": {"database": "ok"}})
    own_server.kill()
    unavailable(await ada.ask("POST", json={"title": "x"}))
    unavailable(await ada.ask("PATCH", f"/tasks/{kept['id']}", json={"title": "y"}))
    assert (await readiness(shaken))[0] == 503
    await asyncio.to_thread(own_server.start)

    async def ready() -> bool:
        return (await readiness(shaken))[0] == 200

    await eventually(ready, BACK_S_MAX, "the API finds its database again")
    assert read(await ada.ask("GET"))["items"] == [kept]
    assert (await ada.change(kept, title="Back"))["version"] == 2


async def test_a_database_that_dies_under_load_makes_only_503s_and_loses_no_answered_write(
    shaken: Api, own_server: PostgresServer
) -> None:
    ada = await shaken.person()
    task = await ada.create()
    answered: list[httpx.Response] = []

    async def write(number: int) -> None:
        for _ in range(10):
            patched = ada.ask("PATCH", f"/tasks/{task['id']}", json={"title": f"T{number}"})
            created = ada.ask("POST", json={"title": "x", "tags": ["a", f"t{number}"]})
            answered.extend(await asyncio.gather(patched, created))

    writers = [asyncio.create_task(write(number)) for number in range(8)]

    async def some_answered() -> bool:
        return len(answered) > 40

    await eventually(some_answered, BACK_S_MAX, "writes are answered")
    own_server.kill()
    await asyncio.to_thread(own_server.start)
    await asyncio.gather(*writers)
    for answer in answered:
        if answer.status_code not in {200, 201}:
            unavailable(answer)
    made = {read(answer)["id"] for answer in answered if answer.status_code == 201}
    listed = read(await ada.ask("GET", "/tasks?limit=200"))["items"]
    assert made <= {item["id"] for item in listed}
    versions = [event["data"]["task"]["version"] for event in await shaken.events(task)]
    assert versions == list(range(1, len(versions) + 1))


async def test_what_breaks_here_is_a_500_with_its_id_that_a_browser_may_read(
    api: Api, ada: Person, caplog: pytest.LogCaptureFixture
) -> None:
    await api.database.fetch(
        "INSERT INTO audit_entries VALUES"
        " ($2, 1, $1, $1, 'created', $1, now(), '{\"task_data\": {\"title\": 1}}',"
        "  sha256('x'), sha256('x'))",
        uuid4(),
        ada.id,
    )
    caplog.set_level(logging.ERROR)
    answer = await ada.ask("GET", "/audit", headers={"Origin": ALLOWED_ORIGIN})
    body = problem(answer, 500, "internal")
    assert answer.headers["Access-Control-Allow-Origin"] == ALLOWED_ORIGIN
    assert body["request_id"] in caplog.text
    assert "Task" not in answer.text


async def test_what_the_database_refuses_for_good_is_not_told_as_an_outage(
    api: Api, ada: Person
) -> None:
    """A client repeats what is answered with 503, and this would never succeed."""
    await api.database.fetch(
        "ALTER TABLE tasks ADD CONSTRAINT odd CHECK (title <> 'refused') NOT VALID"
    )
    try:
        problem(await ada.ask("POST", json={"title": "refused"}), 500, "internal")
    finally:
        await api.database.fetch("ALTER TABLE tasks DROP CONSTRAINT odd")
