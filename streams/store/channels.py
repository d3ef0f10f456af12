"""Channels: where users want to be told, with what is secret of them sealed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from schemas.notifications import ChannelKind
from streams.store.database import Database, Row, Session
from streams.store.sending import give_up_waiting
from streams.store.vault import Vault

CHANNELS_MAX = 20
"""Of one user."""

_COLUMNS = """id, kind, name, event_types, enabled, off_reason, failing_since, created_at,
    updated_at, sealed, version"""
_OWN = "user_id = $1 AND kind <> 'account'"

_HOLD_USER = "SELECT FROM users WHERE id = $1 FOR NO KEY UPDATE"

_INSERT = f"""
    INSERT INTO channels (id, user_id, kind, name, event_types, sealed)
    SELECT $2, id, $3, $4, $5, $6 FROM users
     WHERE id = $1 AND (SELECT count(*) FROM channels WHERE {_OWN}) < $7
    RETURNING {_COLUMNS}"""

_LIST = f"SELECT {_COLUMNS} FROM channels WHERE {_OWN} ORDER BY created_at, id"
_FIND = f"SELECT {_COLUMNS} FROM channels WHERE {_OWN} AND id = $2"
_LOCK = f"{_FIND} FOR NO KEY UPDATE"

_UPDATE = f"""
    UPDATE channels
       SET name = $3, event_types = $4, enabled = $5, sealed = $6, version = version + 1,
           updated_at = clock_timestamp(),
           -- What is switched on again begins anew.
           failing_since = CASE WHEN $5 AND NOT enabled THEN NULL ELSE failing_since END,
           off_reason = CASE WHEN $5 THEN NULL ELSE off_reason END
     WHERE {_OWN} AND id = $2
    RETURNING {_COLUMNS}"""

_DELETE = f"DELETE FROM channels WHERE {_OWN} AND id = $2"

_SEALED = """
    SELECT id, sealed FROM channels
     WHERE sealed IS NOT NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2"""
_RESEAL = "UPDATE channels SET sealed = $3 WHERE id = $1 AND sealed = $2"


class TooManyChannelsError(Exception):
    """The user has `CHANNELS_MAX` already, or the account is gone."""


@dataclass(frozen=True, slots=True)
class Hook:
    """What is secret of a webhook: where it goes, and what it is signed with."""

    url: str = field(repr=False)
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    previous_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredChannel:
    """A channel's row."""

    id: UUID
    kind: ChannelKind
    name: str
    event_types: tuple[str, ...]
    enabled: bool
    off_reason: str | None
    failing_since: datetime | None
    created_at: datetime
    updated_at: datetime
    sealed: str | None = field(repr=False)
    version: int


def seal_hook(vault: Vault, channel_id: UUID, hook: Hook) -> str:
    """Encrypt a hook for its channel's row."""
    until = hook.previous_until.isoformat() if hook.previous_until else None
    secret = {"url": hook.url, "secret": hook.secret}
    previous = {"previous_secret": hook.previous_secret, "previous_until": until}
    return vault.seal(channel_id, secret | previous)


def open_hook(vault: Vault, channel_id: UUID, sealed: str) -> Hook:
    """Decrypt a hook; raises `SealedError`."""
    found = vault.open(channel_id, sealed)
    until = found["previous_until"]
    return Hook(
        found["url"],
        found["secret"],
        found["previous_secret"],
        datetime.fromisoformat(until) if until else None,
    )


async def insert_channel(
    database: Database,
    user_id: UUID,
    channel_id: UUID,
    kind: ChannelKind,
    name: str,
    event_types: Sequence[str],
    sealed: str | None,
) -> StoredChannel:
    """Make a channel; raises `TooManyChannelsError`, also when several are made at once."""
    async with database.transaction() as session:
        await session.fetch(_HOLD_USER, user_id)
        row = await session.fetchrow(
            _INSERT, user_id, channel_id, kind, name, list(event_types), sealed, CHANNELS_MAX
        )
    if row is None:
        raise TooManyChannelsError
    return _channel(row)


async def list_channels(database: Database, user_id: UUID) -> Sequence[StoredChannel]:
    """Give all channels of a user, the oldest first."""
    return [_channel(row) for row in await database.fetch(_LIST, user_id)]


async def find_channel(database: Database, user_id: UUID, channel_id: UUID) -> StoredChannel | None:
    """Give one channel of one user."""
    row = await database.fetchrow(_FIND, user_id, channel_id)
    return _channel(row) if row else None


async def lock_channel(session: Session, user_id: UUID, channel_id: UUID) -> StoredChannel | None:
    """Give one channel of one user, which nobody else changes until the transaction ends."""
    row = await session.fetchrow(_LOCK, user_id, channel_id)
    return _channel(row) if row else None


async def update_channel(
    session: Session, user_id: UUID, before: StoredChannel, after: StoredChannel
) -> StoredChannel:
    """Write name, types, being on, and what is sealed; switched off, what waits in it fails.

    The channel is one that the transaction has locked.
    """
    row = await session.fetchrow(
        _UPDATE,
        user_id,
        before.id,
        after.name,
        list(after.event_types),
        after.enabled,
        after.sealed,
    )
    if row is None:
        raise AssertionError("nobody else deletes a row that is locked")
    if before.enabled and not after.enabled:
        await give_up_waiting(session, before.id, "the channel was switched off")
    return _channel(row)


async def delete_channel(session: Session, user_id: UUID, channel_id: UUID) -> None:
    """Delete a channel with its log."""
    await session.fetch(_DELETE, user_id, channel_id)


async def reseal_all(database: Database, vault: Vault, rows_max: int = 500) -> int:
    """Seal all rows with the vault's first key, and give how many; raises `SealedError`.

    A row that changes meanwhile is left to who changes it, who has the new key too.
    """
    count, last = 0, None
    while rows := await database.fetch(_SEALED, last, rows_max):
        for row in rows:
            await database.fetch(_RESEAL, row["id"], row["sealed"], vault.reseal(row["sealed"]))
        count, last = count + len(rows), rows[-1]["id"]
    return count


def _channel(row: Row) -> StoredChannel:
    fields: Mapping[str, object] = dict(row) | {
        "kind": ChannelKind(row["kind"]),
        "event_types": tuple(row["event_types"]),
    }
    return StoredChannel(**fields)  # type: ignore[arg-type]  # the columns are the fields
