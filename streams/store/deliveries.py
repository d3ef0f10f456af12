"""Deliveries: what was to be sent by which channel, and what became of it."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from schemas.notifications import Delivery
from streams.store.database import Database, Row

DELIVERY_COLUMNS = """
    deliveries.id, deliveries.channel_id, channels.kind AS channel, deliveries.notification_id,
    deliveries.event_id, deliveries.event_type, deliveries.state, deliveries.attempts,
    deliveries.maybe_repeated, deliveries.status, deliveries.error, deliveries.created_at,
    CASE WHEN deliveries.state = 'waiting' THEN deliveries.due_at END AS next_attempt_at,
    deliveries.done_at"""

_LIST = f"""
    SELECT {DELIVERY_COLUMNS}
      FROM deliveries JOIN channels ON channels.id = deliveries.channel_id
     WHERE channel_id = $1 AND deliveries.user_id = $2
       AND ($3::timestamptz IS NULL OR (deliveries.created_at, deliveries.id) < ($3, $4))
     ORDER BY deliveries.created_at DESC, deliveries.id DESC
     LIMIT $5"""


async def list_deliveries(
    database: Database,
    user_id: UUID,
    channel_id: UUID,
    before: tuple[datetime, UUID] | None,
    limit: int,
) -> Sequence[Delivery]:
    """Give the newest deliveries of a channel before an instant and id, at most `limit`."""
    at, last_id = before or (None, None)
    rows = await database.fetch(_LIST, channel_id, user_id, at, last_id, limit)
    return [delivery_of(row) for row in rows]


def delivery_of(row: Row) -> Delivery:
    """Read a row of `DELIVERY_COLUMNS`."""
    return Delivery.model_validate(dict(row))
