"""Resets of passwords: asked for by anybody for any address, and proved by a token of a mail."""

from datetime import timedelta
from uuid import UUID

from schemas.events import MAIL_REQUESTED, SESSION_REVOKED
from schemas.ids import new_id
from streams.store.database import Database, Session
from streams.store.mails import PAUSE_MIN, PER_DAY_MAX

PER_NETWORK_MAX, NETWORK_WINDOW = 30, timedelta(minutes=1)
"""Mails that one client's network may ask for; a few more if it asks for them at one moment."""

_TURN = "SELECT pg_advisory_xact_lock(hashtextextended('reset:' || $1, 0))"

# Accounts are not looked at, so that no time tells of one: the worker finds whose mail it is, and
# the event's user is nobody.
_ASK = f"""
    WITH asked AS (
        INSERT INTO mails (id, purpose, email_key, asked_from)
        SELECT $1, 'reset', $2, $3
         WHERE NOT EXISTS (
                   SELECT FROM mails WHERE email_key = $2 AND purpose = 'reset'
                      AND created_at > statement_timestamp() - $4::interval)
           AND (SELECT count(*) FROM mails WHERE email_key = $2 AND purpose = 'reset'
                   AND created_at > statement_timestamp() - interval '1 day') < $5
           AND (SELECT count(*) FROM mails WHERE asked_from = $3
                   AND created_at > statement_timestamp() - $6::interval) < $7
        RETURNING *
    )
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    SELECT $8, '{MAIL_REQUESTED}', '/taskflow/api', $9, id, created_at,
           json_build_object('mail_id', id)
      FROM asked
    RETURNING seq"""

_HOLD_OWNER = """
    -- The account before its mails: two of its tokens may be used at once.
    SELECT users.id
      FROM mail_tokens
      JOIN mails ON mails.id = mail_tokens.mail_id
      JOIN users ON users.id = mails.user_id
     WHERE mail_tokens.token_hash = $1
       FOR NO KEY UPDATE OF users"""

_USE = """
    WITH mail AS (
        UPDATE mails SET used_at = clock_timestamp()
          FROM mail_tokens
         WHERE mail_tokens.token_hash = $1 AND mail_tokens.mail_id = mails.id
           AND mail_tokens.expires_at > statement_timestamp() AND mails.used_at IS NULL
           AND mails.purpose = 'reset'
        RETURNING mails.id, mails.user_id, mails.email_key
    ), account AS (
        UPDATE users
           SET password_hash = $2, updated_at = clock_timestamp(),
               email_verified_at = coalesce(email_verified_at, clock_timestamp())
          FROM mail
         WHERE users.id = mail.user_id AND users.email_key = mail.email_key
        RETURNING users.id
    ), others AS (
        UPDATE mails SET used_at = clock_timestamp()
          FROM mail, account
         WHERE mails.user_id = account.id AND mails.purpose = 'reset' AND mails.used_at IS NULL
           AND mails.id <> mail.id
    )
    SELECT id FROM account"""

_REVOKE = "DELETE FROM refresh_tokens WHERE user_id = $1 RETURNING session_id"

_TELL = f"""
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    SELECT revoked.event_id, '{SESSION_REVOKED}', '/taskflow/api', $3, revoked.session_id,
           clock_timestamp(),
           json_build_object('actor', json_build_object('kind', 'user', 'id', $3::uuid))
      FROM unnest($1::uuid[], $2::uuid[]) AS revoked (event_id, session_id)
     ORDER BY revoked.event_id"""


async def ask_for_reset(database: Database, email: str, network: str) -> bool:
    """Write a mail that is to be sent if an account has the address, and its event.

    False if it was asked for just now, or often: by address, whether it is an account's or not,
    and by the client's network.
    """
    key = email.strip().casefold()
    async with database.transaction() as session:
        await session.fetch(_TURN, key)
        row = await session.fetchrow(
            _ASK,
            new_id(),
            key,
            network,
            PAUSE_MIN,
            PER_DAY_MAX,
            NETWORK_WINDOW,
            PER_NETWORK_MAX,
            new_id(),
            new_id(),
        )
    return row is not None


async def reset_password(database: Database, token_hash: bytes, password_hash: str) -> bool:
    """Take a token as the proof of its address, and set the password; all sessions end with it.

    False if the token is unknown, used or too old. Other tokens that are on their way are void.
    """
    async with database.transaction() as session:
        await session.fetch(_HOLD_OWNER, token_hash)
        row = await session.fetchrow(_USE, token_hash, password_hash)
        if row is not None:
            # A statement of its own: it sees each session that was opened before the lock was had.
            await _revoke_sessions(session, row["id"])
    return row is not None


async def _revoke_sessions(session: Session, user_id: UUID) -> None:
    rows = await session.fetch(_REVOKE, user_id)
    ended = sorted({row["session_id"] for row in rows})
    await session.fetch(_TELL, [new_id() for _ in ended], ended, user_id)
