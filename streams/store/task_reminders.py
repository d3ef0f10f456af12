"""A task's reminders as its user sets them; each function runs with the task locked."""

from collections.abc import Sequence
from uuid import UUID

from schemas.ids import new_id
from schemas.reminders import Reminder, ReminderCreate, ReminderKind, ReminderSettings
from schemas.tasks import Task
from streams.store.database import Row, Session
from streams.store.tasks import Statements

_LIST = """
    SELECT reminders.id, task_id, kind, CASE kind WHEN 'task' THEN remind_at ELSE at END AS at,
           before_due_minutes, reminders.fires_at, reminders.fired_at, reminders.created_at
      FROM reminders JOIN tasks ON tasks.id = task_id
     WHERE task_id = $1 AND reminders.user_id = $2 AND ($3::uuid IS NULL OR reminders.id = $3)
     ORDER BY reminders.created_at, reminders.id"""

# What the user wishes stays as it is until the reminder is committed, or is seen by what follows.
_HOLD_WISHES = "SELECT FROM users WHERE id = $1 FOR KEY SHARE"

_INSERT = """
    INSERT INTO reminders (id, user_id, task_id, kind, at, before_due_minutes, planned_version)
    VALUES ($1, $2, $3, $4, $5, $6, $7)"""

# What was named is fired though it has just passed; what is reckoned from a day is not.
_PLACE = """
    UPDATE reminders SET fires_at = reminder_instant(reminders, tasks) FROM tasks
     WHERE reminders.id = $1 AND tasks.id = reminders.task_id
       AND tasks.status = 'pending' AND tasks.deleted_at IS NULL
       AND (kind = 'absolute' OR reminder_instant(reminders, tasks) > clock_timestamp())"""

_DELETE = "DELETE FROM reminders WHERE id = $1 AND task_id = $2 RETURNING id"

_SNOOZE = """
    UPDATE reminders SET fires_at = clock_timestamp() + make_interval(mins => $3),
                         planned_version = $4
     WHERE id = $1 AND task_id = $2
    RETURNING id"""

# One at a time for each user, so that two who merge lose nothing of one another.
_HOLD_USER = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE"

_SETTINGS = """
    SELECT default_before_due_minutes, quiet_from, quiet_until FROM reminder_settings
     WHERE user_id = $1"""

_SET = """
    INSERT INTO reminder_settings (user_id, default_before_due_minutes, quiet_from, quiet_until)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (user_id) DO UPDATE
        SET default_before_due_minutes = excluded.default_before_due_minutes,
            quiet_from = excluded.quiet_from, quiet_until = excluded.quiet_until"""


async def list_reminders(
    database: Statements, task: Task, only: UUID | None = None
) -> Sequence[Reminder]:
    """Give a task's reminders, the oldest first; or only one of them, if it is there."""
    rows = await database.fetch(_LIST, task.id, task.user_id, only)
    return [_reminder(row) for row in rows]


async def insert_reminder(session: Session, task: Task, body: ReminderCreate) -> Reminder:
    """Make a reminder of a task, whose version is the one that is being written with it."""
    reminder_id = new_id()
    kind = ReminderKind.ABSOLUTE if body.at is not None else ReminderKind.BEFORE_DUE
    await session.fetch(_HOLD_WISHES, task.user_id)
    await session.fetch(
        _INSERT,
        reminder_id,
        task.user_id,
        task.id,
        kind,
        body.at,
        body.before_due_minutes,
        task.version,
    )
    await session.fetch(_PLACE, reminder_id)
    return (await list_reminders(session, task, reminder_id))[0]


async def delete_reminder(session: Session, task: Task, reminder_id: UUID) -> bool:
    """Take a reminder away; False if it is not there."""
    return await session.fetchrow(_DELETE, reminder_id, task.id) is not None


async def snooze_reminder(
    session: Session, task: Task, reminder_id: UUID, minutes: int
) -> Reminder | None:
    """Let a reminder fire again so long from now; None if it is not there."""
    if await session.fetchrow(_SNOOZE, reminder_id, task.id, minutes, task.version) is None:
        return None
    return (await list_reminders(session, task, reminder_id))[0]


async def hold_user(session: Session, user_id: UUID) -> bool:
    """Let nobody else change what a user wishes until the transaction ends; False if none is there.

    Whoever reads the wishes goes on reading.
    """
    return await session.fetchrow(_HOLD_USER, user_id) is not None


async def reminder_settings(database: Statements, user_id: UUID) -> ReminderSettings:
    """Give what a user wishes of all reminders; without a row, what everybody has."""
    row = await database.fetchrow(_SETTINGS, user_id)
    return ReminderSettings.model_validate(dict(row)) if row else ReminderSettings()


async def set_reminder_settings(
    database: Statements, user_id: UUID, wanted: ReminderSettings
) -> None:
    """Write down what a user wishes, and plan again what counts from a due day, by a trigger.

    It locks the user and then the tasks, for which it never waits with the user held: it tries
    again, for seconds, and raises a transient `StoreError` in the end.
    """
    await database.fetch(
        _SET,
        user_id,
        wanted.default_before_due_minutes,
        wanted.quiet_from,
        wanted.quiet_until,
    )


def _reminder(row: Row) -> Reminder:
    return Reminder.model_validate(dict(row))
