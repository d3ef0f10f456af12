"""Notifications: written with their event, read by their user, and kept for a while."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from schemas.ids import new_id
from schemas.notifications import Delivery, Notification
from streams.store.database import Database, Session
from streams.store.deliveries import DELIVERY_COLUMNS, delivery_of

SOURCE = "/taskflow/notifications"
KEPT = timedelta(days=90)
RESETS_KEPT = timedelta(days=1)
"""Mails that anybody may ask for, of any address: for as long as limits count them."""
PRUNED_MAX = 5_000
"""Rows of one statement, which holds their locks until it ends."""

_INSERT = f"""
    WITH told AS (
        SELECT told.* FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[],
                                  $6::text[], $7::text[], $8::uuid[])
               AS told (id, user_id, event_id, type, task_id, title, body, sent_id)
          -- Of an account that is gone nobody is to be told.
          JOIN users ON users.id = told.user_id
    ), written AS (
        INSERT INTO notifications (id, user_id, event_id, type, task_id, title, body)
        SELECT id, user_id, event_id, type, task_id, title, body FROM told ORDER BY id
        ON CONFLICT (id) DO NOTHING
        RETURNING *
    ), logged AS (
        INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
        SELECT told.sent_id, 'taskflow.notification.sent', '{SOURCE}', written.user_id,
               written.task_id, written.created_at,
               json_build_object('notification_id', written.id, 'channel', 'in-app',
                                 'channel_id', NULL, 'task_id', written.task_id)
          FROM written JOIN told USING (id)
         WHERE written.task_id IS NOT NULL
         ORDER BY told.event_id
    )
    SELECT id FROM written"""

_LIST = """
    SELECT id, event_id, type, task_id, title, body, created_at, read_at FROM notifications
     WHERE user_id = $1
       AND ($2::timestamptz IS NULL OR (created_at, id) < ($2, $3))
       AND (NOT $4 OR read_at IS NULL)
     ORDER BY created_at DESC, id DESC
     LIMIT $5"""

_DELIVERIES = f"""
    SELECT {DELIVERY_COLUMNS}
      FROM deliveries JOIN channels ON channels.id = deliveries.channel_id
     WHERE deliveries.notification_id = ANY ($1::uuid[]) AND deliveries.user_id = $2
     ORDER BY deliveries.created_at, deliveries.id"""

_READ = """
    UPDATE notifications SET read_at = coalesce(read_at, clock_timestamp())
     WHERE id = $1 AND user_id = $2
    RETURNING id, event_id, type, task_id, title, body, created_at, read_at"""

_READ_ALL = """
    UPDATE notifications SET read_at = clock_timestamp() WHERE user_id = $1 AND read_at IS NULL"""

_UNREAD = "SELECT count(*) AS unread FROM notifications WHERE user_id = $1 AND read_at IS NULL"

_PRUNE = """
    WITH old AS (
        DELETE FROM notifications WHERE id IN (
            SELECT id FROM notifications WHERE created_at < now() - $1::interval LIMIT $2
        ) RETURNING 1
    ), sent AS (
        DELETE FROM deliveries WHERE id IN (
            SELECT id FROM deliveries
             WHERE created_at < now() - $1::interval AND state <> 'waiting' LIMIT $2
        ) RETURNING 1
    ), mail AS (
        DELETE FROM mails WHERE id IN (
            SELECT id FROM mails
             WHERE created_at < now() - $1::interval
                OR (purpose = 'reset' AND created_at < now() - $3::interval) LIMIT $2
        ) RETURNING 1
    )
    SELECT (SELECT count(*) FROM old) + (SELECT count(*) FROM sent)
         + (SELECT count(*) FROM mail) AS pruned"""


@dataclass(frozen=True, slots=True)
class NewNotification:
    """A notification that is to be written."""

    id: UUID
    user_id: UUID
    event_id: UUID
    type: str
    task_id: UUID | None
    title: str
    body: str


async def insert_notifications(session: Session, wanted: Sequence[NewNotification]) -> set[UUID]:
    """Write notifications and the events that say so; give the ids that were not there before."""
    rows = await session.fetch(
        _INSERT,
        [new.id for new in wanted],
        [new.user_id for new in wanted],
        [new.event_id for new in wanted],
        [new.type for new in wanted],
        [new.task_id for new in wanted],
        [new.title for new in wanted],
        [new.body for new in wanted],
        [new_id() for _ in wanted],
    )
    return {row["id"] for row in rows}


async def list_notifications(
    database: Database,
    user_id: UUID,
    before: tuple[datetime, UUID] | None,
    limit: int,
    *,
    unread_only: bool,
) -> Sequence[Notification]:
    """Give the newest notifications before an instant and id, with their deliveries."""
    at, last_id = before or (None, None)
    rows = await database.fetch(_LIST, user_id, at, last_id, unread_only, limit)
    carried = await _deliveries(database, user_id, [row["id"] for row in rows])
    return [Notification(**dict(row), deliveries=carried.get(row["id"], ())) for row in rows]


async def mark_read(database: Database, user_id: UUID, wanted_id: UUID) -> Notification | None:
    """Mark a notification as read, if it was not, and give it; None if there is none."""
    row = await database.fetchrow(_READ, wanted_id, user_id)
    if row is None:
        return None
    carried = await _deliveries(database, user_id, [wanted_id])
    return Notification(**dict(row), deliveries=carried.get(wanted_id, ()))


async def mark_all_read(database: Database, user_id: UUID) -> None:
    """Mark all notifications of a user as read."""
    await database.fetch(_READ_ALL, user_id)


async def count_unread(database: Database, user_id: UUID) -> int:
    """Count the unread notifications of a user."""
    row = await database.fetchrow(_UNREAD, user_id)
    return int(row["unread"]) if row else 0


async def prune(database: Database) -> int:
    """Delete what is older than `KEPT`, at most `PRUNED_MAX` rows of each table; give how many."""
    row = await database.fetchrow(_PRUNE, KEPT, PRUNED_MAX, RESETS_KEPT)
    return int(row["pruned"]) if row else 0


async def _deliveries(
    database: Database, user_id: UUID, ids: Sequence[UUID]
) -> dict[UUID, tuple[Delivery, ...]]:
    found: dict[UUID, tuple[Delivery, ...]] = {}
    for row in await database.fetch(_DELIVERIES, ids, user_id) if ids else ():
        found[row["notification_id"]] = (
            *found.get(row["notification_id"], ()),
            delivery_of(row),
        )
    return found
