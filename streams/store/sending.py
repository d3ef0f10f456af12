"""Sending, as the tables see it: channels are claimed for a while, and each outcome is written.

A channel is claimed, and not a delivery: so no more than a few messages of one channel are on
their way, whoever sends, and one look finds all channels that have something to do, however much
waits in one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from uuid import UUID, uuid4

from schemas.events import CHANNEL_OFF
from schemas.ids import new_id
from streams.domain.deliveries import Outcome, Sent, Verdict
from streams.domain.messages import Message
from streams.store.database import Database, Row, Session
from streams.store.notifications import SOURCE

LEASE = timedelta(seconds=30)
"""Longer than any attempt may take; who dies with a claim is followed by another after it."""
AT_A_TIME = 4
"""Messages of one channel that are on their way; of one that is new or fails, one."""

_CLAIM = """
    WITH picked AS (
        SELECT id FROM channels
         WHERE due_at <= statement_timestamp()
           AND (claimed_until IS NULL OR claimed_until <= statement_timestamp())
           AND kind = $1 AND works = $2
         ORDER BY due_at LIMIT $3 FOR NO KEY UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE channels SET claimed_until = clock_timestamp() + $4, claim = $5
          FROM picked WHERE channels.id = picked.id
        RETURNING channels.*
    ), taken AS (
        SELECT first.id FROM claimed CROSS JOIN LATERAL (
            SELECT id FROM deliveries
             WHERE channel_id = claimed.id AND state = 'waiting'
               AND due_at <= statement_timestamp()
             ORDER BY due_at, id
             LIMIT CASE WHEN claimed.works THEN $6 ELSE 1 END
        ) AS first
    ), tried AS (
        UPDATE deliveries
           SET attempts = attempts + 1, trying_since = clock_timestamp(),
               maybe_repeated = maybe_repeated OR trying_since IS NOT NULL
          FROM taken
         WHERE deliveries.id = taken.id AND state = 'waiting'
           AND due_at <= statement_timestamp()
        RETURNING deliveries.*
    )
    SELECT claimed.id AS channel_id, claimed.kind, claimed.name, claimed.sealed,
           clock_timestamp() - claimed.failing_since AS failing_for,
           users.id AS user_id, users.email, users.timezone,
           users.email_verified_at IS NOT NULL AS email_is_verified,
           tried.id AS delivery_id, tried.event_type, tried.event, tried.attempts
      FROM claimed
      JOIN users ON users.id = claimed.user_id
      LEFT JOIN tried ON tried.channel_id = claimed.id
     ORDER BY claimed.id, tried.due_at, tried.id"""

_LOG = f"""
    logged AS (
        INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
        SELECT ids.id, 'taskflow.notification.' || settled.state, '{SOURCE}', settled.user_id,
               settled.task_id, settled.done_at,
               CASE settled.state WHEN 'sent'
               THEN json_build_object('notification_id', settled.notification_id,
                   'channel', held.kind, 'channel_id', held.id, 'task_id', settled.task_id)
               ELSE json_build_object('notification_id', settled.notification_id,
                   'channel', held.kind, 'channel_id', held.id, 'task_id', settled.task_id,
                   'error', settled.error)
               END
          FROM held, (SELECT *, row_number() OVER (ORDER BY created_at, id) AS n FROM settled
                       WHERE state <> 'waiting' AND notification_id IS NOT NULL) AS settled
          JOIN unnest($1::uuid[]) WITH ORDINALITY AS ids (id, n) USING (n)
         ORDER BY n
    )"""

_SETTLE = f"""
    WITH held AS (
        -- The channel before its deliveries, as all writers do.
        SELECT id, kind FROM channels WHERE id = $2 FOR NO KEY UPDATE
    ), settled AS (
        UPDATE deliveries
           SET state = $5, status = $6, error = $7, trying_since = NULL,
               maybe_repeated = maybe_repeated OR $8,
               due_at = clock_timestamp() + $9,
               done_at = CASE WHEN $5 <> 'waiting' THEN clock_timestamp() END
         WHERE id = $3 AND attempts = $4 AND state = 'waiting' AND EXISTS (SELECT FROM held)
        RETURNING *
    ), marked AS (
        UPDATE channels
           SET works = $10,
               failing_since = CASE WHEN $10 THEN NULL
                                    ELSE coalesce(failing_since, clock_timestamp()) END
         WHERE id = (SELECT channel_id FROM settled)
           AND (works <> $10 OR (failing_since IS NULL) <> $10)
    ), {_LOG}
    SELECT state FROM settled"""

_HOLD = "SELECT FROM channels WHERE id = $1 FOR NO KEY UPDATE"

_RELEASE = """
    UPDATE channels
       SET claimed_until = NULL, claim = NULL,
           due_at = (SELECT min(due_at) FROM deliveries WHERE channel_id = $1 AND state = 'waiting')
     WHERE id = $1 AND claim = $2"""

_COUNT_WAITING = """
    SELECT count(*) AS waiting FROM deliveries WHERE channel_id = $1 AND state = 'waiting'"""

_GIVE_UP = f"""
    WITH held AS (
        SELECT id, kind FROM channels WHERE id = $2 FOR NO KEY UPDATE
    ), settled AS (
        UPDATE deliveries
           SET state = 'failed', error = $3, trying_since = NULL, done_at = clock_timestamp()
         WHERE channel_id = $2 AND state = 'waiting' AND EXISTS (SELECT FROM held)
        RETURNING *
    ), {_LOG}
    SELECT count(*) AS given_up FROM settled"""

_SWITCH_OFF = f"""
    WITH off AS (
        UPDATE channels
           SET enabled = false, off_reason = $2, due_at = NULL, version = version + 1,
               updated_at = clock_timestamp()
         WHERE id = $1 AND enabled AND kind <> 'account'
        RETURNING *
    ), told AS (
        INSERT INTO notifications (id, user_id, event_id, type, title, body)
        SELECT $3, user_id, $4, '{CHANNEL_OFF}', $5, $6 FROM off
    ), logged AS (
        INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
        SELECT $4, '{CHANNEL_OFF}', '{SOURCE}', user_id, id, updated_at,
               json_build_object('channel_id', id, 'channel', kind, 'name', name, 'error', $2::text)
          FROM off
    )
    SELECT id FROM off"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One attempt of one delivery; the fields of the user and the channel are as they now are."""

    delivery_id: UUID
    channel_id: UUID
    kind: str
    name: str
    sealed: str | None
    user_id: UUID
    email: str
    email_is_verified: bool
    timezone: str
    event_type: str
    event: str
    attempts: int
    failing_for: timedelta | None


@dataclass(frozen=True, slots=True)
class Claim:
    """A channel that this sender alone has for `LEASE`, and what is to be sent by it."""

    id: UUID
    channel_id: UUID
    parcels: Sequence[Parcel]


async def claim_channels(
    database: Database, kind: str, channels_max: int, *, working: bool
) -> Sequence[Claim]:
    """Claim channels that are due, those that wait longest first; the attempts count from now on.

    Either those are given in which the last attempt arrived, or the others.
    """
    claim = uuid4()
    rows = await database.fetch(_CLAIM, kind, working, channels_max, LEASE, claim, AT_A_TIME)
    return [
        Claim(claim, channel_id, [_parcel(row) for row in own if row["delivery_id"] is not None])
        for channel_id, own in groupby(rows, lambda row: row["channel_id"])
    ]


async def settle(
    database: Database, parcel: Parcel, outcome: Outcome, verdict: Verdict, off: Message
) -> bool:
    """Write what became of an attempt, and the event that says so, in one transaction.

    False if another sender has tried since, and then nothing is written. `off` is what the user is
    told if the verdict switches the channel off.
    """
    async with database.transaction() as session:
        row = await session.fetchrow(_SETTLE, *_settled(parcel, outcome, verdict))
        if row is not None and verdict.switch_off and not isinstance(outcome, Sent):
            await switch_off(session, parcel.channel_id, outcome.error, off)
    return row is not None


async def switch_off(session: Session, channel_id: UUID, error: str, off: Message) -> None:
    """Switch a channel off, let all fail that waits in it, and tell its user."""
    await give_up_waiting(session, channel_id, "the channel was switched off")
    await session.fetch(_SWITCH_OFF, channel_id, error, new_id(), new_id(), off.title, off.body)


async def give_up_waiting(session: Session, channel_id: UUID, error: str) -> None:
    """Let all fail that waits in a channel, each with its event."""
    await session.fetch(_HOLD, channel_id)
    row = await session.fetchrow(_COUNT_WAITING, channel_id)
    ids = [new_id() for _ in range(row["waiting"] if row else 0)]
    await session.fetch(_GIVE_UP, ids, channel_id, error)


async def release(database: Database, claim: Claim) -> None:
    """Let go of a channel; it is due again when the first of its deliveries is.

    The channel is locked by one statement and looked at by the next, which sees all that was
    queued before the lock was had.
    """
    async with database.transaction() as session:
        await session.fetch(_HOLD, claim.channel_id)
        await session.fetch(_RELEASE, claim.channel_id, claim.id)


def _settled(parcel: Parcel, outcome: Outcome, verdict: Verdict) -> tuple[object, ...]:
    failed = None if isinstance(outcome, Sent) else outcome
    return (
        [new_id()],
        parcel.channel_id,
        parcel.delivery_id,
        parcel.attempts,
        verdict.state,
        outcome.status,
        failed.error if failed else None,
        bool(failed and failed.maybe_arrived and verdict.state == "waiting"),
        verdict.wait,
        failed is None,
    )


def _parcel(row: Row) -> Parcel:
    return Parcel(**{name: row[name] for name in Parcel.__slots__})
