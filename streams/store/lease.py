"""The relay's lease: a row that one relay holds for a few seconds, by the database's clock."""

from datetime import timedelta
from uuid import UUID

from streams.store.database import Database

LEASE = timedelta(seconds=4)
"""Renewed each second: three renewals may fail before another relay may lead."""

_HOLD = """
    UPDATE relay_lease
       SET holder = $1,
           epoch = CASE WHEN holder = $1 AND expires_at > clock_timestamp() AND NOT $3
                        THEN epoch ELSE epoch + 1 END,
           expires_at = clock_timestamp() + $2
     WHERE holder = $1 OR expires_at <= clock_timestamp()
    RETURNING epoch"""

_GIVE_UP = """
    UPDATE relay_lease SET holder = NULL, expires_at = '-infinity'
     WHERE holder = $1"""


async def hold_lease(database: Database, holder: UUID, *, new_epoch: bool = False) -> int | None:
    """Take the lease or prolong it, and give its epoch; None while another relay holds it.

    The epoch rises with every change of holder, after every expiry, and when `new_epoch` asks for
    it; a lower epoch deletes no outbox row any more.
    """
    row = await database.fetchrow(_HOLD, holder, LEASE, new_epoch)
    return int(row["epoch"]) if row else None


async def give_up_lease(database: Database, holder: UUID) -> None:
    """Let another relay lead at once."""
    await database.fetch(_GIVE_UP, holder)
