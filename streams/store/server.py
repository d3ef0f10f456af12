"""What the database's server is, asked without changing anything."""

from streams.store.database import Database

_VERSION = "SELECT current_setting('server_version_num')::integer AS number"
_HAS_TABLE = "SELECT to_regclass('schema_migrations') IS NOT NULL AS is_there"
_NEWEST = "SELECT coalesce(max(number), 0) AS newest FROM schema_migrations"


async def server_version(database: Database) -> int:
    """Give the server's major version, as 16."""
    row = await database.fetchrow(_VERSION)
    return int(row["number"]) // 10_000 if row else 0


async def newest_migration(database: Database) -> int:
    """Give the number of the newest migration that is applied; 0 for none, and for an empty one."""
    there = await database.fetchrow(_HAS_TABLE)
    if there is None or not there["is_there"]:
        return 0
    row = await database.fetchrow(_NEWEST)
    return int(row["newest"]) if row else 0
