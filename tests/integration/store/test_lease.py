"""The relay's lease: one holder at a time, by the database's clock, in epochs that only rise."""

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

import pytest

from schemas.ids import new_id
from streams.store import lease
from streams.store.database import Database
from streams.store.lease import give_up_lease, hold_lease
from streams.store.outbox import LastPlace, count_unsent, delete_sent, unsent_rows

ONE, TWO = UUID(int=1), UUID(int=2)

INSERT = """
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    VALUES ($1, 'taskflow.task.created', '/test', $2, 'x', now(), '{}') RETURNING seq"""


async def expire(database: Database) -> None:
    """Let the lease end, as the clock would."""
    await database.fetch("UPDATE relay_lease SET expires_at = clock_timestamp()")


async def test_one_holds_it_until_it_ends(database: Database) -> None:
    """Renewing keeps the epoch; another holder, and the same after its end, begins a new one."""
    assert await hold_lease(database, ONE) == 1
    assert await hold_lease(database, TWO) is None
    assert await hold_lease(database, ONE) == 1
    await expire(database)
    assert await hold_lease(database, TWO) == 2
    assert await hold_lease(database, ONE) is None
    await expire(database)
    assert await hold_lease(database, TWO) == 3
    assert await hold_lease(database, TWO, new_epoch=True) == 4
    assert await hold_lease(database, TWO) == 4


async def test_only_one_of_many_that_ask_at_once_gets_it(database: Database) -> None:
    holders = [uuid4() for _ in range(8)]
    epochs = await asyncio.gather(*(hold_lease(database, holder) for holder in holders))
    assert [epoch for epoch in epochs if epoch is not None] == [1]


async def test_it_ends_by_the_databases_clock(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that asks for less time loses it after that time, whatever its own clock says."""
    monkeypatch.setattr(lease, "LEASE", timedelta(milliseconds=100))
    assert await hold_lease(database, ONE) == 1
    await database.fetch("SELECT pg_sleep(0.11)")
    assert await hold_lease(database, TWO) == 2


async def test_who_gives_it_up_is_followed_at_once(database: Database) -> None:
    """Who does not hold it gives up nothing."""
    assert await hold_lease(database, ONE) == 1
    await give_up_lease(database, TWO)
    assert await hold_lease(database, TWO) is None
    await give_up_lease(database, ONE)
    assert await hold_lease(database, TWO) == 2


async def test_a_lower_epoch_deletes_nothing_and_moves_no_position(database: Database) -> None:
    """A relay that was deposed while it published leaves its rows to the next one."""
    rows = [await database.fetchrow(INSERT, new_id(), ONE) for _ in range(3)]
    seqs = [row["seq"] for row in rows if row]
    assert await hold_lease(database, ONE) == 1
    place = LastPlace("task-events", 0, 7, new_id())
    await expire(database)
    assert await hold_lease(database, TWO) == 2
    assert await delete_sent(database, 1, seqs, [place]) == 0
    assert await count_unsent(database) == 3
    assert await database.fetch("SELECT 1 FROM relay_positions") == []
    assert await delete_sent(database, 2, seqs[:2], [place]) == 2
    assert [row.seq for row in await unsent_rows(database, 10)] == seqs[2:]
    assert await delete_sent(database, 2, seqs, [place]) == 1


async def test_positions_are_those_of_the_newest_round(database: Database) -> None:
    """One row a partition, moved with each deletion."""
    assert await hold_lease(database, ONE) == 1
    for offset in (4, 9):
        event_id = new_id()
        await delete_sent(
            database, 1, [], [LastPlace(topic, 2, offset, event_id) for topic in ("a", "b")]
        )
    rows = await database.fetch("SELECT * FROM relay_positions ORDER BY topic")
    assert [(row["topic"], row["last_offset"], row["event_id"]) for row in rows] == [
        ("a", 9, event_id),
        ("b", 9, event_id),
    ]
