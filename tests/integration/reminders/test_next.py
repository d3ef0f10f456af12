"""`faust -A streams.reminders next` shows an operator one user's reminders, and no other's."""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

from schemas.ids import new_id
from schemas.settings import Settings
from streams.store.database import Database
from streams.store.reminders import fire
from tests.integration.reminders.test_firing import create, planned, write
from tests.reminder_world import database_now, make_users
from tests.stack import Stack


async def next_of(settings: Settings, folder: Path, *options: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "faust", "-A", "streams.reminders", "next", *options),
        env=Stack(settings, folder).environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0
    return out.decode()


async def test_what_fires_next_comes_first_and_what_does_not_says_why(
    settings: Settings,
    tmp_path: Path,
    database: Database,
    user: UUID,
    worker_module: ModuleType,
) -> None:
    """As text and as JSON; another user's are not shown."""
    now = await database_now(database)
    fired = await create(database, user, now)
    await fire(database, await planned(database))
    later = await create(database, user, now + timedelta(days=2))
    sooner = await create(database, user, now + timedelta(days=1))
    done = await create(database, user, now + timedelta(days=3))
    await write(database, user, done, "complete")
    (other,) = await make_users(database, 1)
    await create(database, other, now + timedelta(days=1))
    shown: list[dict[str, Any]] = json.loads(
        await next_of(settings, tmp_path, "--user", str(user), "--json")
    )
    assert [UUID(one["task_id"]) for one in shown[:2]] == [sooner, later]
    assert {UUID(one["task_id"]) for one in shown[2:]} == {done, fired}
    reasons = {UUID(one["task_id"]): one["reason"] for one in shown}
    assert reasons[sooner].startswith("fires in 86")
    assert reasons[done] == "does not fire: the task is completed"
    assert reasons[fired].startswith("fired 0.")
    show = worker_module.show_next
    text = await show(database, str(user), as_json=False)
    assert len(text.splitlines()) == 4
    assert str(sooner) in text.splitlines()[0]
    assert "no user id" in await show(database, "x", as_json=False)
    assert "no reminders" in await show(database, str(new_id()), as_json=False)
