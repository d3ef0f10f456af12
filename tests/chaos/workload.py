"""A load of creates and patches over HTTP that remembers what each client was told."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import monotonic
from uuid import UUID

import httpx

PASSWORD = "correct horse battery"


@dataclass(frozen=True, slots=True)
class Account:
    """A user who is logged in."""

    id: UUID
    token: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A write that was answered: which version of which task, and between which two instants."""

    user_id: UUID
    task_id: UUID
    version: int
    sent_at: float
    answered_at: float


@dataclass
class Workload:
    """Creates `creates` tasks by all users over `connections` clients; each fifth is patched twice.

    A 503 or a broken connection leaves an outcome unknown: it is counted, and not repeated.
    """

    api_url: str
    users: int
    creates: int
    connections: int
    pause_s: float
    seed: int
    answers: list[Answer] = field(default_factory=list)
    unknown: int = 0
    refused_503: int = 0
    accounts: Sequence[Account] = ()
    longest_s: float = 0.0

    async def register(self) -> None:
        """Make the users."""
        async with self._client() as client:
            self.accounts = [await register(client, f"{self.seed}-{n}") for n in range(self.users)]

    async def run(self) -> None:
        """Send all writes, spread over the connections."""
        async with asyncio.TaskGroup() as tasks:
            for number in range(self.connections):
                tasks.create_task(self._one_connection(number))

    async def _one_connection(self, number: int) -> None:
        dice = random.Random(f"{self.seed}/{number}")
        async with self._client() as client:
            for count in range(self.creates // self.connections):
                account = dice.choice(self.accounts)
                answer = await self._write(client, account, "POST", "", {"title": f"task {count}"})
                for change in ("one", "two") if answer and count % 5 == 0 else ():
                    path = f"/{answer.task_id}" if answer else ""
                    await self._write(client, account, "PATCH", path, {"title": change})
                await asyncio.sleep(self.pause_s)

    async def _write(
        self, client: httpx.AsyncClient, account: Account, method: str, path: str, body: object
    ) -> Answer | None:
        sent_at = monotonic()
        try:
            response = await client.request(
                method,
                f"/api/{account.id}/tasks{path}",
                json=body,
                headers={"Authorization": f"Bearer {account.token}"},
            )
        except httpx.HTTPError:
            self.unknown += 1
            return None
        answered_at = monotonic()
        self.longest_s = max(self.longest_s, answered_at - sent_at)
        if response.status_code == httpx.codes.SERVICE_UNAVAILABLE:
            assert int(response.headers["Retry-After"]) >= 1
            self.refused_503 += 1
            return None
        assert response.is_success, response.text
        task = response.json()
        answer = Answer(account.id, UUID(task["id"]), task["version"], sent_at, answered_at)
        self.answers.append(answer)
        return answer

    def _client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.api_url, timeout=30, trust_env=False)


async def register(client: httpx.AsyncClient, name: str) -> Account:
    """Make one user."""
    body = {"email": f"user-{name}@example.org", "password": PASSWORD}
    response = await client.post("/api/auth/register", json=body)
    assert response.status_code == httpx.codes.CREATED, response.text
    session = response.json()
    return Account(UUID(session["user"]["id"]), session["access_token"])
