"""Deliveries: what is to be sent by which channel, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.notifications import Delivery
from streams.domain.deliveries import delivery_id
from streams.store.database import Database, Row, Session

DELIVERY_COLUMNS = """
    deliveries.id, deliveries.channel_id, channels.kind AS channel, deliveries.notification_id,
    deliveries.event_id, deliveries.event_type, deliveries.state, deliveries.attempts,
    deliveries.maybe_repeated, deliveries.status, deliveries.error, deliveries.created_at,
    CASE WHEN deliveries.state = 'waiting' THEN deliveries.due_at END AS next_attempt_at,
    deliveries.done_at"""

_LOCK_CHANNELS = """
    -- In one order for all writers, so that two of them never wait for each other.
    SELECT id, user_id, event_types FROM channels
     WHERE user_id = ANY ($1::uuid[]) AND enabled AND kind <> 'account'
     ORDER BY id FOR NO KEY UPDATE"""

_WAKE = """
    woken AS (
        UPDATE channels
           SET due_at = least(coalesce(due_at, 'infinity'), statement_timestamp())
         WHERE id IN (SELECT channel_id FROM queued)
    )"""

_QUEUE = f"""
    WITH queued AS (
        INSERT INTO deliveries
            (id, channel_id, user_id, notification_id, event_id, event_type, task_id, event)
        SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::uuid[],
                             $6::text[], $7::uuid[], $8::text[])
        ON CONFLICT (id) DO NOTHING
        RETURNING channel_id
    ), {_WAKE}
    SELECT count(*) AS queued FROM queued"""

_LOCK_ACCOUNT_CHANNELS = """
    SELECT FROM channels WHERE kind = 'account' AND user_id = ANY ($1::uuid[])
     ORDER BY id FOR NO KEY UPDATE"""

_QUEUE_MAILS = f"""
    WITH queued AS (
        INSERT INTO deliveries (id, channel_id, user_id, event_id, event_type, event)
        SELECT mails.id, channels.id, mails.user_id, asked.event_id, asked.event_type, asked.event
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[])
               AS asked (mail_id, user_id, event_id, event_type, event)
          JOIN mails ON mails.id = asked.mail_id AND mails.user_id = asked.user_id
          JOIN channels ON channels.user_id = mails.user_id AND channels.kind = 'account'
        ON CONFLICT (id) DO NOTHING
        RETURNING channel_id
    ), {_WAKE}
    SELECT count(*) AS queued FROM queued"""

_QUEUE_TEST = f"""
    WITH held AS (
        SELECT id, user_id FROM channels
         WHERE id = $2 AND user_id = $3 AND enabled AND kind <> 'account' FOR NO KEY UPDATE
    ), queued AS (
        INSERT INTO deliveries (id, channel_id, user_id, event_id, event_type, event)
        SELECT $1, id, user_id, $1, $4, $5 FROM held
        RETURNING channel_id
    ), {_WAKE}
    SELECT channel_id FROM queued"""

_LIST = f"""
    SELECT {DELIVERY_COLUMNS}
      FROM deliveries JOIN channels ON channels.id = deliveries.channel_id
     WHERE channel_id = $1 AND deliveries.user_id = $2
       AND ($3::timestamptz IS NULL OR (deliveries.created_at, deliveries.id) < ($3, $4))
     ORDER BY deliveries.created_at DESC, deliveries.id DESC
     LIMIT $5"""


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a user's channels are to carry; `event` is its envelope as it came."""

    user_id: UUID
    notification_id: UUID
    event_id: UUID
    event_type: str
    task_id: UUID
    event: str


@dataclass(frozen=True, slots=True)
class AskedMail:
    """A mail of the account that is to be sent."""

    mail_id: UUID
    user_id: UUID
    event_id: UUID
    event_type: str
    event: str


async def queue_deliveries(session: Session, told: Sequence[Told]) -> None:
    """Write one delivery, due now, for each event and each channel that wants its type.

    The channels stay locked until the transaction ends, so that a sender that lets go of one sees
    what was queued.
    """
    users = sorted({item.user_id for item in told})
    channels = await session.fetch(_LOCK_CHANNELS, users)
    wanted = [
        (item, channel["id"])
        for item in told
        for channel in channels
        if channel["user_id"] == item.user_id and item.event_type in channel["event_types"]
    ]
    if not wanted:
        return
    await session.fetch(
        _QUEUE,
        [delivery_id(item.event_id, channel_id) for item, channel_id in wanted],
        [channel_id for _, channel_id in wanted],
        [item.user_id for item, _ in wanted],
        [item.notification_id for item, _ in wanted],
        [item.event_id for item, _ in wanted],
        [item.event_type for item, _ in wanted],
        [item.task_id for item, _ in wanted],
        [item.event for item, _ in wanted],
    )


async def queue_mails(session: Session, asked: Sequence[AskedMail]) -> None:
    """Write one delivery, due now, for each mail that is to be sent; its id is the mail's."""
    await session.fetch(_LOCK_ACCOUNT_CHANNELS, [mail.user_id for mail in asked])
    await session.fetch(
        _QUEUE_MAILS,
        [mail.mail_id for mail in asked],
        [mail.user_id for mail in asked],
        [mail.event_id for mail in asked],
        [mail.event_type for mail in asked],
        [mail.event for mail in asked],
    )


async def queue_test(
    database: Database, user_id: UUID, channel_id: UUID, test_id: UUID, event_type: str, event: str
) -> bool:
    """Write a delivery that tests a channel; False if the user has no such channel that is on."""
    row = await database.fetchrow(_QUEUE_TEST, test_id, channel_id, user_id, event_type, event)
    return row is not None


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
