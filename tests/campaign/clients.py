"""API clients: each makes tasks and changes them, and remembers what it was told."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic
from uuid import UUID

import httpx

from schemas.codec import JsonObject
from tests.campaign.history import History, Write
from tests.chaos.workload import PASSWORD

ANSWER_S_MAX = 8.0
TASKS_HELD_MAX = 40
_CHANGES = ("patch", "patch", "move", "complete", "complete", "reopen", "delete")
_REFUSED = {httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.TOO_MANY_REQUESTS}


@dataclass(slots=True)
class User:
    """A user, whose token is renewed by whoever finds that it has ended."""

    id: UUID
    email: str
    token: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


@dataclass(slots=True)
class Client:
    """One client of one user: one request at a time, so what it sends has an order."""

    name: str
    user: User
    victim: User
    """Whose data it tries to reach."""
    http: httpx.AsyncClient
    history: History
    dice: random.Random
    pause_s: float
    _tasks: dict[UUID, JsonObject] = field(default_factory=dict)
    """Its own tasks as it was told last; those with an unknown write are left out."""
    _count: int = 0

    async def run(self, stopping: asyncio.Event) -> None:
        """Send requests until told to stop."""
        while not stopping.is_set():
            await self._step()
            await asyncio.sleep(self.dice.uniform(0, 2 * self.pause_s))

    async def _step(self) -> None:
        roll = self.dice.random()
        if roll < 0.45 or not self._tasks:
            await self._create()
        elif roll < 0.85:
            task_id = self.dice.choice(list(self._tasks))
            await self._change(task_id, self.dice.choice(_CHANGES))
        elif roll < 0.95:
            await self._read(self.dice.choice(list(self._tasks)))
        else:
            await self._trespass()

    async def _create(self) -> None:
        self._count += 1
        title = f"{self.name} {self._count}"
        body: dict[str, object] = {"title": title, "priority": self.dice.choice(["low", "urgent"])}
        if self.dice.random() < 0.35:
            body["remind_at"] = self._soon()
        if self.dice.random() < 0.3:
            body |= {"due_date": "2031-01-31", "recurrence_pattern": "monthly"}
        if self.dice.random() < 0.2:
            body["tags"] = self.dice.sample(["home", "work", "garden", "sea"], 2)
        told = await self._write("create", "POST", "", body, None)
        if told is not None:
            if len(self._tasks) >= TASKS_HELD_MAX:
                self._tasks.pop(next(iter(self._tasks)))
            self._tasks[UUID(str(told["id"]))] = told

    async def _change(self, task_id: UUID, kind: str) -> None:
        self._count += 1
        method, path, body = "POST", f"/{task_id}/{kind}", None
        if kind == "delete":
            method, path = "DELETE", f"/{task_id}"
        elif kind in {"patch", "move"}:
            method, path = "PATCH", f"/{task_id}"
            body = {"remind_at": self._soon()} if kind == "move" else {"title": self._new_title()}
        told = await self._write(kind, method, path, body, task_id)
        if told is None or kind == "delete":
            self._tasks.pop(task_id, None)
        else:
            self._tasks[task_id] = told

    def _new_title(self) -> str:
        return f"{self.name} {self._count} changed"

    def _soon(self) -> str:
        at = datetime.now(UTC) + timedelta(seconds=self.dice.uniform(1, 15))
        return at.isoformat().replace("+00:00", "Z")

    async def _write(
        self, kind: str, method: str, path: str, body: object, task_id: UUID | None
    ) -> JsonObject | None:
        title = str(body["title"]) if isinstance(body, dict) and "title" in body else None
        sent_at = monotonic()
        response = await self._send(method, self.user.id, path, body)
        told: JsonObject | None = None
        if response is not None and response.is_success:
            self.history.counts[kind] += 1
            # A delete's answer is empty: it says that it happened.
            told = response.json() if response.content else {"id": str(task_id)}
        elif response is not None and response.status_code not in _REFUSED:
            self.history.odd.append(f"{kind}: {response.status_code} {response.text[:200]}")
        else:
            self.history.counts["unknown"] += 1
        self.history.writes.append(
            Write(self.user.id, kind, task_id, title, sent_at, monotonic(), told)
        )
        return told

    async def _read(self, task_id: UUID) -> None:
        response = await self._send("GET", self.user.id, f"/{task_id}", None)
        if response is None or response.status_code in _REFUSED:
            return
        self.history.counts["read"] += 1
        known, shown = self._tasks[task_id], response.json()
        if response.status_code != httpx.codes.OK or shown["version"] < known["version"]:
            self.history.stale.append(f"{task_id}: told {known['version']}, then {response.text}")

    async def _trespass(self) -> None:
        """Ask for another user's task by way of its user, and by way of one's own."""
        theirs = [
            write.told["id"]
            for write in self.history.writes[-200:]
            if write.told is not None and write.user_id == self.victim.id
        ]
        task = self.dice.choice(theirs) if theirs and self.dice.random() < 0.8 else None
        path = f"/{task}" if task else ""
        whose = self.dice.choice([self.user.id, self.victim.id]) if task else self.victim.id
        method, body = self.dice.choice([("GET", None), ("PATCH", {"title": "mine"})])
        if not task:
            method, body = "GET", None
        response = await self._send(method, whose, path, body)
        if response is None or response.status_code in _REFUSED:
            return
        self.history.counts["trespass"] += 1
        if response.status_code != httpx.codes.NOT_FOUND:
            self.history.trespasses.append(f"{method} {path}: {response.status_code}")

    async def _send(
        self, method: str, whose: UUID, path: str, body: object
    ) -> httpx.Response | None:
        """Send one request; None if there was no answer."""
        try:
            response = await self.http.request(
                method, f"/api/{whose}/tasks{path}", json=body, headers=self.user.headers
            )
        except httpx.HTTPError:
            return None
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await login(self.http, self.user)
            return None
        return response


async def register(http: httpx.AsyncClient, name: str) -> User:
    """Make one user."""
    email = f"{name}@example.org"
    body = {"email": email, "password": PASSWORD}
    response = await http.post("/api/auth/register", json=body)
    assert response.status_code == httpx.codes.CREATED, response.text
    session = response.json()
    return User(UUID(session["user"]["id"]), email, session["access_token"])


async def login(http: httpx.AsyncClient, user: User) -> None:
    """Renew a user's token, if there is an answer."""
    body = {"email": user.email, "password": PASSWORD}
    try:
        response = await http.post("/api/auth/login", json=body)
    except httpx.HTTPError:
        return
    if response.is_success:
        user.token = response.json()["access_token"]
