"""How long it takes to prove a large audit trail, and to give an old one its chains."""

import asyncio
import subprocess
import sys
from contextlib import suppress
from time import perf_counter

import psutil
import pytest

from streams.store.database import Database, open_database
from streams.store.migrations import migrate_down, migrate_up
from tests.audit_world import BEFORE_CHAINS

USERS, EACH = 1_000, 1_000
S_MAX = 30.0
RSS_BYTES_MAX = 150_000_000

OLD_ENTRIES = """
    INSERT INTO audit_log (id, user_id, event_type, task_id, task_data, event_id, timestamp)
    SELECT gen_random_uuid(), md5('user' || $1::integer)::uuid, 'updated', gen_random_uuid(),
           jsonb_build_object(
               'title', 'Pay the rent of the flat ' || n, 'description', repeat('note ', 30),
               'status', 'pending', 'tags', '["home", "money"]'::jsonb, 'version', n,
               'padding', repeat('"members" of a task ', 15)
           ),
           gen_random_uuid(), '2027-01-01'::timestamptz + n * interval '1 second'
      FROM generate_series(1, $2::integer) AS n"""


def run_verify(database_url: str) -> tuple[str, int]:
    """Run the command, and give what it printed and the most memory that it was seen to have."""
    command = [sys.executable, "-m", "streams.cli", "audit", "verify"]
    environment = {"DATABASE_URL": database_url, "DATA_DIR": "/nonexistent"}
    rss = 0
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        used = psutil.Process(process.pid)
        while process.poll() is None:
            rss = max(rss, used.memory_info().rss)
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        assert process.stdout
        return process.stdout.read(), rss


@pytest.mark.long
async def test_a_million_entries_are_proved_in_half_a_minute(
    database: Database, database_url: str
) -> None:
    """By the command, in bounded memory; they got their chains from the migration."""
    await migrate_down(database, BEFORE_CHAINS)
    for number in range(USERS):
        await database.fetch(OLD_ENTRIES, number, EACH)
    began_at = perf_counter()
    await migrate_up(database)
    print(f"\n{USERS * EACH:,} older entries were chained in {perf_counter() - began_at:.1f} s;")
    async with open_database(database_url, pool_size=1) as other:
        row = await other.fetchrow("SELECT avg(octet_length(content)) AS bytes FROM audit_entries")
    assert row
    began_at = perf_counter()
    answer, rss = await asyncio.to_thread(run_verify, database_url)
    seconds = perf_counter() - began_at
    print(f"and verified in {seconds:.1f} s, {float(row['bytes']):.0f} bytes each,", end=" ")
    print(f"with {rss / 1e6:.0f} MB; load average {psutil.getloadavg()[0]:.1f}")
    assert answer == f"{USERS * EACH:,} entries of {USERS:,} users: nothing is wrong\n"
    assert seconds < S_MAX
    assert rss < RSS_BYTES_MAX
