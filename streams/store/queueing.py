"""Queueing: what is to be sent becomes rows, one for an event and a channel, up to a limit."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from schemas.ids import new_id
from streams.domain.deliveries import WAITING_MAX, delivery_id
from streams.domain.messages import full_message
from streams.store.database import Database, Session
from streams.store.sending import switch_off

PAIRS_MAX = 500
"""Rows of one statement, each with its event's text."""

_LOCK_CHANNELS = """
    -- In one order for all writers, so that two of them never wait for each other.
    SELECT id, user_id, name, event_types, created_at FROM channels
     WHERE user_id = ANY ($1::uuid[]) AND event_types && $2::text[]
       AND enabled AND kind <> 'account'
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
    ), {_WAKE}, counted AS (
        -- What this statement writes, it does not see.
        SELECT channel_id, count(*) + (
                   SELECT count(*) FROM deliveries
                    WHERE deliveries.channel_id = queued.channel_id AND state = 'waiting'
               ) AS waiting
          FROM queued GROUP BY channel_id
    )
    SELECT channel_id FROM counted WHERE waiting > $9"""

_FIND_OWNERS = """
    WITH found AS (
        UPDATE mails SET user_id = users.id
          FROM users
         WHERE mails.id = ANY ($1::uuid[]) AND mails.purpose = 'reset' AND mails.user_id IS NULL
           AND users.email_key = mails.email_key
        RETURNING mails.user_id
    )
    SELECT user_id FROM found
    UNION
    SELECT mails.user_id FROM unnest($1::uuid[], $2::uuid[]) AS asked (mail_id, user_id)
      JOIN mails ON mails.id = asked.mail_id
     WHERE mails.user_id = asked.user_id
        OR (mails.purpose = 'reset' AND mails.user_id IS NOT NULL)"""

_MAKE_ACCOUNT_CHANNELS = """
    INSERT INTO channels (id, user_id, kind, name, event_types)
    SELECT asked.channel_id, users.id, 'account', 'account', '{}'
      FROM unnest($1::uuid[], $2::uuid[]) AS asked (channel_id, user_id)
      JOIN users ON users.id = asked.user_id
     ORDER BY users.id
    ON CONFLICT (user_id) WHERE kind = 'account' DO NOTHING"""

_LOCK_ACCOUNT_CHANNELS = """
    SELECT FROM channels WHERE kind = 'account' AND user_id = ANY ($1::uuid[])
     ORDER BY id FOR NO KEY UPDATE"""

_QUEUE_MAILS = f"""
    WITH queued AS (
        INSERT INTO deliveries (id, channel_id, user_id, event_id, event_type, event)
        SELECT mails.id, channels.id, mails.user_id, asked.event_id, asked.event_type, asked.event
          FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[])
               AS asked (mail_id, user_id, event_id, event_type, event)
          JOIN mails ON mails.id = asked.mail_id
           AND (mails.user_id = asked.user_id OR mails.purpose = 'reset')
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
         WHERE (SELECT count(*) FROM deliveries WHERE channel_id = $2 AND state = 'waiting') < $6
        RETURNING channel_id
    ), {_WAKE}
    SELECT channel_id FROM queued"""


@dataclass(frozen=True, slots=True)
class Listener:
    """A channel that is locked, and what it wants to be told of."""

    id: UUID
    user_id: UUID
    name: str
    event_types: Sequence[str]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Told:
    """An event that a user's channels are to carry; `event` is its envelope as it came."""

    user_id: UUID
    notification_id: UUID | None
    event_id: UUID
    event_type: str
    task_id: UUID | None
    event: str


@dataclass(frozen=True, slots=True)
class AskedMail:
    """A mail of the account that is to be sent."""

    mail_id: UUID
    user_id: UUID
    event_id: UUID
    event_type: str
    event: str


async def lock_listeners(
    session: Session, user_ids: Collection[UUID], event_types: Collection[str]
) -> Sequence[Listener]:
    """Give the channels of users that are on and want any of these types, by one indexed query.

    They stay locked until the transaction ends, so that a sender that lets go of one sees what was
    queued.
    """
    rows = await session.fetch(_LOCK_CHANNELS, sorted(user_ids), sorted(event_types))
    return [Listener(**dict(row)) for row in rows]


async def queue_deliveries(session: Session, wanted: Sequence[tuple[Told, Listener]]) -> None:
    """Write one delivery, due now, for each event and channel; one that is there stays as it is.

    A channel in which over `WAITING_MAX` wait then is switched off, and its user is told; there is
    no row of what comes after.
    """
    off: set[UUID] = set()
    for start in range(0, len(wanted), PAIRS_MAX):
        part = wanted[start : start + PAIRS_MAX]
        off |= await _queue(session, [pair for pair in part if pair[1].id not in off])


async def _queue(session: Session, wanted: Sequence[tuple[Told, Listener]]) -> set[UUID]:
    """Write deliveries in one statement, and give the channels that this has switched off."""
    rows = await session.fetch(
        _QUEUE,
        [delivery_id(told.event_id, channel.id) for told, channel in wanted],
        [channel.id for _, channel in wanted],
        [told.user_id for told, _ in wanted],
        [told.notification_id for told, _ in wanted],
        [told.event_id for told, _ in wanted],
        [told.event_type for told, _ in wanted],
        [told.task_id for told, _ in wanted],
        [told.event for told, _ in wanted],
        WAITING_MAX,
    )
    names = {channel.id: channel.name for _, channel in wanted}
    for row in rows:
        off = full_message(names[row["channel_id"]], WAITING_MAX)
        error = f"over {WAITING_MAX:,} messages waited"
        await switch_off(session, row["channel_id"], error, off)
    return {row["channel_id"] for row in rows}


async def queue_mails(session: Session, asked: Sequence[AskedMail]) -> None:
    """Write one delivery, due now, for each mail that is to be sent; its id is the mail's.

    Of a reset nobody knows yet whose it is. If no account has its address, it has no delivery.
    """
    rows = await session.fetch(
        _FIND_OWNERS, [mail.mail_id for mail in asked], [mail.user_id for mail in asked]
    )
    users = [row["user_id"] for row in rows]
    await session.fetch(_MAKE_ACCOUNT_CHANNELS, [new_id() for _ in users], users)
    await session.fetch(_LOCK_ACCOUNT_CHANNELS, users)
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
    """Write a delivery that tests a channel.

    False if the user has no such channel that is on, or `WAITING_MAX` wait there.
    """
    row = await database.fetchrow(
        _QUEUE_TEST, test_id, channel_id, user_id, event_type, event, WAITING_MAX
    )
    return row is not None
