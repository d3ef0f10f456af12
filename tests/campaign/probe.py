"""The probe: one task's whole way through every process, which tells when all work again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import cast
from uuid import UUID

import httpx

from schemas.codec import JsonObject
from schemas.events import REMINDER_DUE, TaskEventType
from streams.store.database import Database, StoreError
from tests.campaign.clients import User, login
from tests.campaign.history import History, Write
from tests.campaign.listeners import Listener
from tests.waiting import LOOK_S

RECOVERY_S_MAX = 60.0
TRY_S_MAX = 3.0

_DONE = """
    SELECT (SELECT count(*) FROM notifications WHERE task_id = $1) AS reminded,
           (SELECT successor_id::text FROM task_successors
             WHERE predecessor_id = $1 AND NOT withdrawn) AS successor,
           (SELECT count(*) FROM audit_log WHERE task_id = $1 AND event_type = 'completed'
           ) AS completed,
           (SELECT count(*) FROM audit_log WHERE task_id =
               (SELECT successor_id FROM task_successors WHERE predecessor_id = $1)) AS followed"""


class NotRecoveredError(Exception):
    """Something did not work again within `RECOVERY_S_MAX`."""


@dataclass(slots=True)
class Probe:
    """Creates a recurring task with a reminder, is reminded, completes it, and sees its successor.

    The API, the relay, all four workers and the gateway must have worked for that.
    """

    http: httpx.AsyncClient
    user: User
    listener: Listener
    database: Database
    history: History

    async def run_once(self) -> float:
        """Give how long it took; raises `NotRecoveredError` with what did not happen."""
        began_at = monotonic()
        until = began_at + RECOVERY_S_MAX
        remind_at = datetime.now(UTC) - timedelta(seconds=1)
        body = {
            "title": "a probe",
            "due_date": "2031-01-31",
            "recurrence_pattern": "monthly",
            "remind_at": remind_at.isoformat().replace("+00:00", "Z"),
        }
        task_id = await self._ask(None, body, until)
        await self._wait(lambda: self._is_reminded(task_id), until, "the reminder's notification")
        await self._ask(task_id, None, until)
        await self._wait(lambda: self._is_followed(task_id), until, "the successor, audited")
        return monotonic() - began_at

    async def _ask(self, task_id: str | None, body: JsonObject | None, until: float) -> str:
        """Create the task, or complete it, as often as it takes; give its id."""
        path = f"/{task_id}/complete" if task_id else ""
        while monotonic() < until:
            sent_at, told = monotonic(), await self._try(path, body)
            self.history.writes.append(
                Write(
                    user_id=self.user.id,
                    kind="probe",
                    task_id=UUID(task_id) if task_id else None,
                    title=body["title"] if body else None,
                    sent_at=sent_at,
                    answered_at=monotonic(),
                    told=told,
                )
            )
            if told is not None:
                return str(told["id"])
            await asyncio.sleep(LOOK_S)
        raise NotRecoveredError(f"the API did not answer POST {path or 'tasks'}")

    async def _try(self, path: str, body: JsonObject | None) -> JsonObject | None:
        try:
            response = await self.http.post(
                f"/api/{self.user.id}/tasks{path}",
                json=body,
                headers=self.user.headers,
                timeout=TRY_S_MAX,
            )
        except httpx.HTTPError:
            return None
        if response.status_code == httpx.codes.UNAUTHORIZED:
            await login(self.http, self.user)
        return cast("JsonObject", response.json()) if response.is_success else None

    async def _wait(
        self, condition: Callable[[], Awaitable[bool]], until: float, what: str
    ) -> None:
        while not await condition():
            if monotonic() > until:
                raise NotRecoveredError(what)
            await asyncio.sleep(LOOK_S)

    async def _is_reminded(self, task_id: str) -> bool:
        row = await self._row(task_id)
        return bool(row and row["reminded"]) and REMINDER_DUE in self._heard(task_id)

    async def _is_followed(self, task_id: str) -> bool:
        row = await self._row(task_id)
        if not row or not row["completed"] or not row["followed"]:
            return False
        return TaskEventType.COMPLETED in self._heard(
            task_id
        ) and TaskEventType.CREATED in self._heard(str(row["successor"]))

    def _heard(self, subject: str) -> set[str]:
        return self.listener.subjects.get(subject, set())

    async def _row(self, task_id: str) -> JsonObject | None:
        try:
            row = await self.database.fetchrow(_DONE, task_id)
        except StoreError:
            return None
        return dict(row) if row else None
