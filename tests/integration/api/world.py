"""A running API on a socket, and the people who call it."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4

import httpx

from api.serving import make_server
from schemas.ids import new_id
from schemas.settings import Settings
from schemas.tokens import TokenKey
from streams.store.database import Database, open_database
from streams.store.users import NewAccount, NewSession, insert_user

SECRET = "s" * 32
KEY = TokenKey(SECRET)
ALLOWED_ORIGIN = "https://app.example"
WAIT_S_MAX = 10.0

Json = dict[str, Any]  # what a client reads is looked at key by key


@dataclass(frozen=True, slots=True)
class Person:
    """A user with a token; paths are those below `/api/{user_id}`."""

    id: UUID
    token: str
    client: httpx.AsyncClient

    @property
    def bearer(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def path(self, below: str) -> str:
        return f"/api/{self.id}{below}"

    async def ask(self, method: str, below: str = "/tasks", **options: Any) -> httpx.Response:
        headers = self.bearer | options.pop("headers", {})
        return await self.client.request(method, self.path(below), headers=headers, **options)

    async def create(self, **fields: Any) -> Json:
        answer = await self.ask("POST", json={"title": "Pay rent", **fields})
        assert answer.status_code == 201, answer.text
        return read(answer)

    async def change(self, task: Json, method: str = "PATCH", **fields: Any) -> Json:
        answer = await self.ask(method, f"/tasks/{task['id']}", json=fields)
        assert answer.status_code == 200, answer.text
        return read(answer)


@dataclass(frozen=True, slots=True)
class Api:
    """One API process's worth: its port, its database, and a client with a pool of connections."""

    port: int
    database: Database
    client: httpx.AsyncClient

    async def person(self, timezone: str = "UTC") -> Person:
        """Make an account without the cost of a real password."""
        user_id = new_id()
        account = NewAccount(user_id, f"{token_hex(8)}@example.org", "no hash", None, timezone)
        lives = datetime.now(UTC) + timedelta(days=1)
        await insert_user(
            self.database, account, NewSession(uuid4(), bytes(16) + uuid4().bytes, lives)
        )
        return Person(user_id, token(user_id), self.client)

    async def events(self, task: Json) -> list[Json]:
        """Give the outbox rows of a task by `seq`, each with its `data` read."""
        rows = await self.database.fetch(
            "SELECT seq, event_id, type, source, user_id, subject, occurred_at, traceparent,"
            " data::text AS data FROM outbox WHERE subject = $1 ORDER BY seq",
            task["id"],
        )
        return [dict(row) | {"data": json.loads(row["data"])} for row in rows]

    async def talk(self, *parts: bytes, ends: bool = False) -> bytes:
        """Send bytes over a connection of their own, and give all that comes until it is closed."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            async with asyncio.timeout(WAIT_S_MAX):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                if ends:
                    writer.write_eof()
                return await reader.read()
        finally:
            writer.close()


@asynccontextmanager
async def running_api(database_url: str, **settings: Any) -> AsyncIterator[Api]:
    """Run the API as `python -m api` does, on a port that the kernel chooses."""
    given = Settings(
        _env_file=None,
        database_url=database_url,
        jwt_secret=SECRET,
        cors_origins=ALLOWED_ORIGIN,
        **settings,
    ).model_copy(update={"api_port": 0})
    server = make_server(given)
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(WAIT_S_MAX):
            while not server.started:  # noqa: ASYNC110 (uvicorn sets a flag, and no event)
                await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=WAIT_S_MAX
        )
        async with open_database(database_url) as database, client:
            yield Api(port, database, client)
    finally:
        server.should_exit = True
        await serving


def token(user_id: UUID, issued_ago: timedelta = timedelta()) -> str:
    return KEY.issue(user_id, uuid4(), datetime.now(UTC) - issued_ago)


def read(answer: httpx.Response) -> Json:
    found: Json = answer.json()
    return found


def problem(answer: httpx.Response, status: int, code: str) -> Json:
    """Check that an answer is a problem document as the contract has it, and give it."""
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = read(answer)
    assert set(body) == {"type", "title", "status", "detail", "request_id", "errors"}
    assert body["type"] == f"urn:taskflow:problem:{code}"
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["request_id"] == answer.headers["X-Request-ID"]
    return body


def broken(answer: httpx.Response) -> Sequence[tuple[str, str]]:
    """Give the fields and rules that a 422 names."""
    return [(e["field"], e["rule"]) for e in problem(answer, 422, "validation")["errors"]]
