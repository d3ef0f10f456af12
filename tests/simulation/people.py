"""People who use the API: what they ask for is drawn by chance, and what is answered is kept."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from tests.simulation.chance import Chance
from tests.simulation.parts import KEY, Api, application
from tests.simulation.process import Stage

ANSWER_S_MAX = 12.0
PAUSE_S_MAX = 0.6
RETRY_S = 0.05
REMIND_S_MAX = 6.0
EXPECTED = frozenset({200, 201, 204, 404, 503})
"""404 is a task that somebody else has deleted; 503 says that the outcome is unknown."""

Json = dict[str, Any]  # what a client reads is looked at key by key


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Acknowledged:
    """A write that was answered: the task as it was told, and when it was asked for."""

    task: Json
    began_us: int
    ended_us: int


@dataclass
class User:
    """An account, its tasks as far as they were told, and all that was answered to it."""

    id: UUID
    session_id: UUID
    hook_id: UUID | None = None
    """A webhook of this user's, for completed tasks and reminders."""
    tasks: list[str] = field(default_factory=list)
    acknowledged: list[Acknowledged] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)


@dataclass
class Person:
    """Somebody who uses an account; another may use it at the same time."""

    stage: Stage
    api: Api
    user: User
    name: str
    chance: Chance = field(init=False)

    def __post_init__(self) -> None:
        self.chance = self.stage.chance.apart(self.name)

    async def live(self, writes: int) -> None:
        """Ask for so many writes, one after the other."""
        pause_s_max = self.chance.random.choice((PAUSE_S_MAX, PAUSE_S_MAX / 4))
        for _ in range(writes):
            await asyncio.sleep(self.chance.between(0, pause_s_max))
            while not self.api.serves:  # noqa: ASYNC110 (as a browser does, which tries again)
                await asyncio.sleep(RETRY_S)
            await self._write()

    async def _write(self) -> None:
        random = self.chance.random
        if not self.user.tasks or random.random() < 0.2:
            await self._change("POST", "/tasks", self._new_task())
            return
        task = f"/tasks/{random.choice(self.user.tasks)}"
        wish = random.choices(("complete", "reopen", "patch", "delete"), (5, 2, 4, 1))[0]
        if wish == "patch":
            await self._change("PATCH", task, self._patch())
        elif wish == "delete":
            await self._change("DELETE", task, None)
        else:
            await self._change("POST", f"{task}/{wish}", None)

    def _new_task(self) -> Json:
        fields = {"title": f"task {len(self.user.tasks)}"}
        kind = self.chance.random.randrange(3)
        if kind == 0:
            return fields | {"recurrence_pattern": "daily", "due_date": "2027-01-05", "tags": ["a"]}
        if kind == 1:
            return fields | {"remind_at": self._soon()}
        return fields

    def _patch(self) -> Json:
        if self.chance.random.randrange(3) == 0:
            return {"remind_at": self._soon()}
        return {"title": f"title {self.chance.random.randrange(100)}"}

    def _soon(self) -> str:
        wait = timedelta(seconds=self.chance.between(0.1, REMIND_S_MAX))
        return (self.stage.now() + wait).isoformat()

    async def _change(self, method: str, below: str, body: Json | None) -> None:
        began_us = self.stage.now_us()
        answer = await self.ask(method, f"/api/{self.user.id}{below}", body)
        told = answer.status if answer else "no answer"
        self.stage.note(self.name, f"{method} {below}: {told}")
        if answer is None:
            return
        if answer.status not in EXPECTED:
            self.stage.wrong.append(f"{method} {below} was answered {answer}")
        elif answer.status == 204:
            self.user.deleted.add(below.rpartition("/")[2])
        elif answer.status < 300:
            task = json.loads(answer.body)
            self.user.acknowledged.append(Acknowledged(task, began_us, self.stage.now_us()))
            if method == "POST" and below == "/tasks":
                self.user.tasks.append(task["id"])

    async def ask(self, method: str, path: str, body: Json | None) -> Answer | None:
        """Send a request to the API's process; None if it is not there, or does not answer."""
        life, services = self.api.life, self.api.services
        if life is None or services is None or not self.api.serves:
            return None
        token = KEY.issue(self.user.id, self.user.session_id, self.stage.now())
        scope = _scope(method, path, token, {"services": services})
        sent: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, object]:
            content = json.dumps(body).encode() if body is not None else b""
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Mapping[str, Any]) -> None:
            sent.append(message)

        serving = life.spawn(application()(scope, receive, send))  # type: ignore[arg-type]
        await asyncio.wait({serving}, timeout=ANSWER_S_MAX)
        if not serving.done() or serving.cancelled():
            return None
        if error := serving.exception():
            self.stage.wrong.append(f"the API failed at {method} {path}: {error!r}")
            return None
        content = b"".join(message.get("body", b"") for message in sent[1:])
        return Answer(sent[0]["status"], content)


def _scope(method: str, path: str, token: str, state: Mapping[str, object]) -> Json:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"authorization", f"Bearer {token}".encode()),
            (b"content-type", b"application/json"),
        ],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
        "state": dict(state),
    }
