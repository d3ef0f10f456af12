"""Pauses: an app that has a row here processes nothing, through restarts, until it is resumed."""

from dataclasses import dataclass
from datetime import datetime

from streams.store.database import Database, StoreError

_FIND = "SELECT app, paused_at, paused_by FROM paused_apps WHERE app = $1"

_PAUSE = """
    INSERT INTO paused_apps (app, paused_by) VALUES ($1, $2) ON CONFLICT (app) DO NOTHING
    RETURNING app"""

_IN_PROGRESS = "SELECT FROM stream_offsets WHERE app = $1 ORDER BY topic, partition FOR UPDATE"

_RESUME = "DELETE FROM paused_apps WHERE app = $1 RETURNING app"


@dataclass(frozen=True, slots=True)
class PausedApp:
    """Since when an app is paused, and by whom."""

    app: str
    paused_at: datetime
    paused_by: str


async def find_pause(database: Database, app: str) -> PausedApp | None:
    """Give an app's pause, if it is paused."""
    row = await database.fetchrow(_FIND, app)
    return PausedApp(**dict(row)) if row else None


async def pause_app(database: Database, app: str, operator: str) -> bool:
    """Pause an app, and wait for the batches that are just being committed; False if it was.

    Raises `StoreError` if such a batch does not end within `lock_timeout`, or nothing was paused.
    The statement that moves a ledger looks at the row, so that no later batch is committed.
    """
    paused = await database.fetchrow(_PAUSE, app, operator) is not None
    try:
        await database.fetch(_IN_PROGRESS, app)
    except StoreError as error:
        text = f"{app} is paused, and a batch that began before may still be committed: {error}"
        raise StoreError(error.fault, text) from error
    return paused


async def resume_app(database: Database, app: str) -> bool:
    """Let an app go on; False if it was not paused."""
    return await database.fetchrow(_RESUME, app) is not None
