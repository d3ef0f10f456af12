"""An operator mends a worker that runs: what is shown is so, and what is changed is followed."""

import asyncio
import re
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from schemas import codec
from schemas.ids import new_id
from schemas.settings import Settings
from schemas.topics import TASK_EVENTS
from streams.store.database import Database
from streams.store.operator_log import newest_entries
from streams.transport.interface import Message, Place, Transport
from tests.chaos.ending import read_log
from tests.dying import KilledError
from tests.integration.effects.effects_world import KEY, envelope
from tests.integration.effects.test_audit import change
from tests.integration.effects.test_worker_process import audited, publish
from tests.operating import faust
from tests.stack import Child, Stack
from tests.waiting import eventually

WAIT_S_MAX = 30.0
DEAD = TASK_EVENTS.dead_letters.name

_SAME_ROW = """
    INSERT INTO dead_letters (app, topic, partition, log_offset, error, dlq_partition, dlq_offset)
    VALUES ('audit', 'task-events', 0, 1, '', 0, 0)"""


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Stack:
    return Stack(settings, tmp_path)


async def put(transport: Transport, *values: bytes) -> list[Place]:
    """Publish events to partition 0, one after the other."""
    return [
        await transport.publish(Message(TASK_EVENTS.name, KEY, value, partition=0))
        for value in values
    ]


async def applied_by(worker: Child) -> float:
    """Ask a worker how many events it has committed the effects of."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(worker.ready_url.replace("health/ready", "metrics"))).text
    found = re.search(r'^taskflow_effects_applied_total\{app="audit"\} (\S+)$', text, re.MULTILINE)
    return float(found[1]) if found else 0.0


async def waiting(database: Database, count: int) -> None:
    async def they_wait() -> bool:
        rows = await database.fetch("SELECT id FROM dead_letters WHERE state = 'waiting'")
        return len(rows) == count

    await eventually(they_wait, WAIT_S_MAX, f"{count} dead letters wait")


async def test_poison_is_listed_shown_byte_for_byte_and_replayed_when_the_table_is_mended(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """Its row is there once; the broken one behind it is dropped; each step is in the log."""
    await database.fetch("ALTER TABLE audit_entries ADD CONSTRAINT broken CHECK (event_type = 'x')")
    stack.add("audit")
    environment = stack.environment()
    async with stack.running():
        good, poison = change(1, "created"), b'\xff{"id": \x00'
        (place, _) = await put(transport, good, poison)
        await waiting(database, 2)
        listed = (await faust(environment, "audit", "dlq", "list", "--json")).json()
        assert [one["offset"] for one in listed] == [place.offset, place.offset + 1]
        assert "CheckViolationError" in listed[0]["error"]
        first, second = (str(one["id"]) for one in listed)
        raw = await faust(environment, "audit", "dlq", "show", first, "--raw")
        assert raw.raw == good
        assert (await faust(environment, "audit", "dlq", "show", second, "--raw")).raw == poison
        shown = await faust(environment, "audit", "dlq", "show", first)
        assert good.decode() in shown.out
        assert repr(poison) in (await faust(environment, "audit", "dlq", "show", second)).out
        rehearsed = await faust(environment, "audit", "dlq", "replay", first, "--dry-run")
        assert (rehearsed.code, "failed" in rehearsed.out) == (1, True)
        await database.fetch("ALTER TABLE audit_entries DROP CONSTRAINT broken")
        unasked = await faust(environment, "audit", "dlq", "replay", "--all")
        assert (unasked.code, "--yes" in unasked.errors) == (1, True)
        replayed = await faust(environment, "audit", "dlq", "replay", "--all", "--yes")
        assert replayed.code == 1
        assert re.search(rf"#{first} replayed\n#{second} failed: ", replayed.out)
        await audited(database, 1)
        assert (await faust(environment, "audit", "dlq", "drop", second, "--yes")).code == 0
        status = (await faust(environment, "audit", "status", "--json")).json()
        assert (status["dead_letters_waiting"], status["lag"]) == (0, 0)
        assert "PoisonError" in status["last_error"]
    assert len(await read_log(transport, DEAD)) == 2
    entries = await newest_entries(database, 10)
    assert [(one.command, one.result) for one in entries] == [
        ("dlq drop", "1 dropped"),
        ("dlq replay", "1 replayed, 1 failed"),
    ]
    assert entries[0].arguments == {"app": "audit", "numbers": [int(second)]}
    assert "@" in entries[0].operator


async def test_a_running_audit_worker_that_is_rewound_changes_nothing_and_processes_again(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """To an instant: what came before it is left alone."""
    worker = stack.add("audit")
    environment = stack.environment()
    async with stack.running():
        await publish(transport, 25)
        await audited(database, 100)
        at = datetime.now(UTC).isoformat()
        await publish(transport, 5)
        await audited(database, 120)
        before = await database.fetch("SELECT * FROM audit_entries ORDER BY id")
        dry = await faust(environment, "audit", "rewind", "--to", at, "--dry-run", "--json")
        assert [one["again"] for one in dry.json()["partitions"]] == [5] * 4
        applied = await applied_by(worker)
        done = await faust(environment, "audit", "rewind", "--to", at, "--yes")
        assert done.code == 0, done.errors

        async def again() -> bool:
            return await applied_by(worker) == applied + 20

        await eventually(again, WAIT_S_MAX, "the worker has processed them again")
        assert await database.fetch("SELECT * FROM audit_entries ORDER BY id") == before
        skipping = await faust(environment, "audit", "rewind", "--to", "end", "--yes")
        assert "LOST" not in skipping.out


async def test_what_is_paused_under_load_and_resumed_loses_nothing(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """Through a kill of the worker meanwhile, which is ready, paused, when it is back."""
    worker = stack.add("audit")
    environment = stack.environment()
    async with stack.running():
        over = asyncio.Event()
        loading = asyncio.create_task(_load(transport, over))
        assert (await faust(environment, "audit", "pause", "--yes")).code == 0
        row = await database.fetchrow("SELECT count(*) AS n FROM audit_log")
        worker.kill()
        await publish(transport, 5)
        over.set()
        count = 20 + await loading
        await eventually(worker.is_ready, WAIT_S_MAX, "the worker is ready while it is paused")
        status = (await faust(environment, "audit", "status", "--json")).json()
        assert row is not None
        assert status["lag"] == count - row["n"] > 0
        assert status["paused"]["paused_by"]
        assert max(one["lag_s"] or 0 for one in status["partitions"]) > 0
        assert await database.fetchrow("SELECT count(*) AS n FROM audit_log") == row
        assert (await faust(environment, "audit", "resume", "--yes")).code == 0
        await audited(database, count)


async def _load(transport: Transport, over: asyncio.Event) -> int:
    """Publish until it is over, and give how many events it were."""
    rounds = 0
    while not over.is_set():
        await publish(transport, 1)
        rounds += 1
    return 4 * rounds


async def test_a_worker_that_dies_between_a_dead_letter_and_its_row_leaves_one_row(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """The letter is published again; the row is once, and names the newer one."""
    worker = stack.add("audit")
    async with stack.running():
        await put(transport, change(1))
        await audited(database, 1)

        async def letters_are(count: int) -> bool:
            return len(await read_log(transport, DEAD)) == count

        with suppress(KilledError):
            async with database.transaction() as session:
                # The worker waits for what becomes of this row before it writes its own.
                await session.fetch(_SAME_ROW)
                await put(transport, b"{not json")
                await eventually(lambda: letters_are(1), 4, "the letter is published")
                worker.kill()
                raise KilledError
        assert await database.fetch("SELECT FROM dead_letters") == []
        await waiting(database, 1)
        await put(transport, change(2))
        await audited(database, 2)
    (row,) = await database.fetch("SELECT log_offset, dlq_offset FROM dead_letters")
    assert len(await read_log(transport, DEAD)) == 2
    assert (row["log_offset"], row["dlq_offset"]) == (1, 1)


async def test_an_events_way_is_told(
    stack: Stack, database: Database, transport: Transport
) -> None:
    """From the log, by the instant in its id, to its row; and of one that died, why."""
    stack.add("audit")
    environment = stack.environment()
    async with stack.running():
        fine, dead = change(1), envelope({"task": {}}, "taskflow.task.created")
        await put(transport, fine, dead)
        await waiting(database, 1)
        told = await faust(environment, "audit", "explain", id_of(fine))
        assert "not in the outbox" in told.out
        assert "task-events[0] has it at 0" in told.out
        assert "audit's ledger of partition 0 is at 2: it was processed" in told.out
        assert "event_type: updated" in told.out
        way = (await faust(environment, "audit", "explain", id_of(dead), "--json")).json()
        assert [one["state"] for one in way["dead"]] == ["waiting"]
        assert way["effects"] is None
        other = await faust(environment, "recurrence", "explain", id_of(fine))
        assert f"there is no task {id_of(fine)}" in other.out
        assert "recurrence's ledger of partition 0 is at nothing yet" in other.out
    unsent = new_id()
    await database.fetch(
        """INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
           VALUES ($1, 'taskflow.task.created', '/t', $1, 's', now(), '{}')""",
        unsent,
    )
    told = await faust(environment, "audit", "explain", str(unsent))
    assert "waits in the outbox behind 0 others; no relay leads: start one" in told.out
    assert "no topic has it near" in told.out
    refused = await faust(environment, "audit", "explain", "x")
    assert (refused.code, "lower-case UUID" in refused.errors) == (2, True)


def id_of(value: bytes) -> str:
    found = codec.decode(value)["id"]
    assert isinstance(found, str)
    return found
