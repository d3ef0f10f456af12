"""Mails that prove an address: asked for by an event, and their tokens kept as hashes alone."""

from datetime import timedelta
from enum import StrEnum
from uuid import UUID

from schemas.events import MAIL_REQUESTED
from schemas.ids import new_id
from streams.store.database import Database

TOKEN_LIFETIME = timedelta(hours=24)
RESET_LIFETIME = timedelta(hours=1)
"""Of a token from when it is sent; a mail that could not be sent for so long is not sent."""
PAUSE_MIN = timedelta(minutes=1)
"""Between two mails to one address."""
PER_DAY_MAX = 10

_HOLD_USER = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE"

_CHANNEL = """
    INSERT INTO channels (id, user_id, kind, name, event_types)
    SELECT $2, id, 'account', 'account', '{}' FROM users WHERE id = $1
    ON CONFLICT (user_id) WHERE kind = 'account' DO NOTHING"""

_ASK = f"""
    WITH asked AS (
        INSERT INTO mails (id, user_id, purpose, email_key)
        SELECT $2, id, 'verify', email_key FROM users
         WHERE id = $1
           AND NOT EXISTS (
               SELECT FROM mails WHERE user_id = $1 AND purpose = 'verify'
                  AND created_at > statement_timestamp() - $4::interval)
           AND (SELECT count(*) FROM mails WHERE user_id = $1 AND purpose = 'verify'
                   AND created_at > statement_timestamp() - interval '1 day') < $5
        RETURNING *
    )
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    SELECT $3, '{MAIL_REQUESTED}', '/taskflow/api', user_id, id, created_at,
           json_build_object('mail_id', id)
      FROM asked
    RETURNING seq"""

_KEEP = """
    INSERT INTO mail_tokens (token_hash, mail_id, expires_at)
    SELECT $3, mails.id,
           clock_timestamp()
           + CASE mails.purpose WHEN 'verify' THEN $4::interval ELSE $5::interval END
      FROM mails JOIN users ON users.id = mails.user_id AND users.email_key = mails.email_key
     WHERE mails.id = $1 AND mails.email_key = $2 AND mails.used_at IS NULL
       AND CASE mails.purpose WHEN 'verify' THEN users.email_verified_at IS NULL
           ELSE mails.created_at > clock_timestamp() - $5::interval END
    RETURNING (SELECT purpose FROM mails WHERE id = mail_id) AS purpose"""

_VERIFY = """
    WITH mail AS (
        UPDATE mails SET used_at = clock_timestamp()
          FROM mail_tokens
         WHERE mail_tokens.token_hash = $1 AND mail_tokens.mail_id = mails.id
           AND mail_tokens.expires_at > statement_timestamp() AND mails.used_at IS NULL
           AND mails.purpose = 'verify'
        RETURNING mails.user_id, mails.email_key
    )
    UPDATE users SET email_verified_at = clock_timestamp(), updated_at = clock_timestamp()
      FROM mail
     WHERE users.id = mail.user_id AND users.email_key = mail.email_key
    RETURNING users.id"""

_IS_VERIFIED = "SELECT email_verified_at IS NOT NULL AS verified FROM users WHERE id = $1"


class MailPurpose(StrEnum):
    """What a mail's token is good for."""

    VERIFY = "verify"
    RESET = "reset"


async def ask_for_verification(database: Database, user_id: UUID) -> bool:
    """Write a mail that is to be sent, and its event; False if the last one was just now."""
    async with database.transaction() as session:
        await session.fetch(_HOLD_USER, user_id)
        await session.fetch(_CHANNEL, user_id, new_id())
        row = await session.fetchrow(_ASK, user_id, new_id(), new_id(), PAUSE_MIN, PER_DAY_MAX)
    return row is not None


async def insert_token(
    database: Database, mail_id: UUID, email_key: str, token_hash: bytes
) -> MailPurpose | None:
    """Keep the hash of a token that is about to be sent to an address, and say what it is for.

    None if there is nothing to prove: the account has another address, it is verified, or the mail
    is of no use any more.
    """
    row = await database.fetchrow(
        _KEEP, mail_id, email_key, token_hash, TOKEN_LIFETIME, RESET_LIFETIME
    )
    return MailPurpose(row["purpose"]) if row else None


async def verify_email(database: Database, token_hash: bytes) -> bool:
    """Take a token as the proof of its address; False if it is unknown, used or too old."""
    return await database.fetchrow(_VERIFY, token_hash) is not None


async def is_email_verified(database: Database, user_id: UUID) -> bool:
    """Tell whether a user has shown that the account's address is theirs."""
    row = await database.fetchrow(_IS_VERIFIED, user_id)
    return bool(row and row["verified"])
