"""docs/database-roles.sql: the owner migrates, and the processes need no more than rows."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from secrets import token_hex

import httpx
import pytest
from pydantic import SecretStr

from schemas.settings import Settings
from streams.store.audit_shadow import open_shadow
from streams.store.database import Database, Fault, StoreError, open_database
from streams.store.migrations import migrate_up, migration_states
from tests.chaos.workload import register
from tests.servers import Servers
from tests.stack import Stack
from tests.waiting import eventually

SCRIPT = Path("docs/database-roles.sql").read_text()
WAIT_S = 40.0
FORBIDDEN = (
    "CREATE TABLE mine (x int)",
    "CREATE TEMPORARY TABLE mine (x int)",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE ROLE mine",
    "CREATE EXTENSION vector",
    "ALTER TABLE tasks ADD COLUMN mine int",
    "ALTER TABLE tasks DISABLE TRIGGER ALL",
    "ALTER SYSTEM SET log_statement = 'all'",
    "DROP TABLE tasks",
    "TRUNCATE tasks",
    "DELETE FROM audit_entries",
    "DELETE FROM audit_heads",
    "UPDATE schema_migrations SET number = 0",
    "DELETE FROM schema_migrations",
    "COPY tasks TO PROGRAM 'cat'",
    "COPY tasks FROM '/etc/passwd'",
    "SELECT * FROM pg_authid",
    "SELECT pg_read_file('/etc/passwd')",
    "SET ROLE taskflow_owner",
    "SET session_replication_role = replica",
)


async def make_roles(servers: Servers, suffix: str) -> tuple[str, str]:
    """Make a database with the two roles, as the page says; give the address for each."""
    script = SCRIPT.replace("taskflow_owner", f"owner_{suffix}").replace(
        "taskflow_app", f"app_{suffix}"
    )
    url = servers.postgres.make_database(f"roles_{suffix}")
    login, _, place = url.rpartition("@")
    password = login.rpartition(":")[2]
    async with open_database(url) as database, database.transaction() as session:
        await session.run_script(script)
        for role in (f"owner_{suffix}", f"app_{suffix}"):
            await session.run_script(f"ALTER ROLE {role} PASSWORD '{password}'")
    owner, app = (f"postgresql://{name}_{suffix}:{password}@{place}" for name in ("owner", "app"))
    async with open_database(owner) as database:
        await migrate_up(database)
    async with open_database(url) as database:
        await database.fetch("CALL taskflow_restrict()")
    return owner, app


async def refused(database: Database, statements: Sequence[str]) -> list[str]:
    """Give those of the statements that were done after all, or refused for another reason."""
    odd = []
    for statement in statements:
        try:
            await database.fetch(statement)
        except StoreError as error:
            if error.fault is not Fault.SETUP or "42501" not in str(error):
                odd.append(f"{statement}: {error}")
        else:
            odd.append(f"{statement}: done")
    return odd


@pytest.mark.usefixtures("transport")
async def test_every_process_does_its_work_as_a_role_that_may_only_read_and_write_rows(
    servers: Servers, settings: Settings, tmp_path: Path
) -> None:
    """A recurring task with a reminder goes through all of them; what else there is, is refused."""
    suffix = token_hex(4)
    _, app = await make_roles(servers, suffix)
    stack = Stack(settings.model_copy(update={"database_url": SecretStr(app)}), tmp_path)
    for name in ("api", "relay", "audit", "recurrence", "reminders", "notifications", "webhooks"):
        stack.add(name)
    async with (
        stack.running(),
        open_database(app) as database,
        httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as client,
    ):
        ada = await register(client, "ada")
        headers = {"Authorization": f"Bearer {ada.token}"}
        fields = {"title": "Pay rent", "due_date": "2027-01-31", "recurrence_pattern": "daily"}
        soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
        for more in ({"remind_at": soon}, {}):
            made = await client.post(f"/api/{ada.id}/tasks", json=fields | more, headers=headers)
            assert made.status_code == 201, made.text
        done = await client.post(
            f"/api/{ada.id}/tasks/{made.json()['id']}/complete", headers=headers
        )
        assert done.status_code == 200

        async def all_is_done() -> bool:
            row = await database.fetchrow(
                "SELECT (SELECT count(*) FROM tasks) >= 3"
                " AND (SELECT count(*) FROM audit_log) >= 4"
                " AND EXISTS (SELECT FROM reminder_firings)"
                " AND EXISTS (SELECT FROM notifications) AS done"
            )
            return row is not None and bool(row["done"])

        await eventually(all_is_done, WAIT_S, "the successor, the trail and the notification")
        states = await migration_states(database)
        assert all(state.applied for state in states)
        forbidden = [text.replace("taskflow_owner", f"owner_{suffix}") for text in FORBIDDEN]
        assert await refused(database, forbidden) == []


async def test_the_owner_is_no_superuser_and_grants_what_later_migrations_make(
    servers: Servers,
) -> None:
    owner, app = await make_roles(servers, token_hex(4))
    async with open_database(owner) as database:
        row = await database.fetchrow("SELECT current_setting('is_superuser') AS super")
        assert row is not None
        assert row["super"] == "off"
        await database.fetch("CREATE TABLE later (x int GENERATED ALWAYS AS IDENTITY, y int)")
        assert await refused(database, ["CREATE ROLE mine", "SELECT * FROM pg_authid"]) == []
    async with open_database(app) as database:
        await database.fetch("INSERT INTO later (y) VALUES (1)")
        assert await refused(database, ["DROP TABLE later"]) == []


async def test_the_owner_may_rebuild_the_audit_trail_and_the_processes_may_not(
    servers: Servers,
) -> None:
    """Whoever may not is told which role may."""
    owner, app = await make_roles(servers, token_hex(4))
    async with (
        open_database(owner) as database,
        open_shadow(database) as shadow,
        shadow.transaction() as session,
    ):
        assert await session.fetch("SELECT FROM audit_entries") == []
    async with open_database(app) as database:
        with pytest.raises(StoreError, match=r"42501.*the role that owns the tables"):
            async with open_shadow(database):
                pass
