"""Entries are chained in their order, one position each, whoever appends and however often."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from uuid import UUID, uuid4

from schemas import codec
from schemas.ids import new_id
from streams.domain.audit_chain import (
    Counts,
    NewEntry,
    content_hash,
    link_hash,
    start_hash,
)
from streams.store.audit import AuditFilter, append_entries, erase_content, list_entries
from streams.store.audit_proof import verify_chains
from streams.store.database import Database, Fault, StoreError
from streams.store.migrations import migrate_down, migrate_up
from tests.audit_world import BEFORE_CHAINS, append, entries_of, found_in, task_of

USER, OTHER = UUID(int=7), UUID(int=8)


async def events_of(database: Database, user_id: UUID = USER) -> list[UUID]:
    """Give a user's events in the order of their positions, which must be 1, 2, 3 …"""
    rows = await database.fetch(
        "SELECT position, event_id FROM audit_entries WHERE user_id = $1 ORDER BY position", user_id
    )
    assert [row["position"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["event_id"] for row in rows]


def ids(entries: Sequence[NewEntry], user_id: UUID = USER) -> list[UUID]:
    return [entry.event_id for entry in entries if entry.user_id == user_id]


async def test_entries_have_positions_in_the_order_in_which_they_came(database: Database) -> None:
    entries = entries_of([USER, OTHER], 20)
    await append(database, entries[:9])
    await append(database, entries[9:])
    await append(database, [])
    for user in (USER, OTHER):
        assert await events_of(database, user) == ids(entries, user)
    assert await found_in(database) == []


async def test_an_event_that_comes_again_takes_no_position(database: Database) -> None:
    """Twice in a batch, in a batch with new ones, and alone."""
    entries = entries_of([USER], 6)
    await append(database, [*entries[:2], entries[0], entries[2], entries[1]])
    await append(database, [entries[1], entries[3], entries[0], entries[4]])
    await append(database, entries[:5])
    await append(database, entries)
    assert await events_of(database) == ids(entries)
    assert await found_in(database) == []


async def test_what_was_rolled_back_leaves_the_chain_as_it_was(database: Database) -> None:
    entries = entries_of([USER], 4)
    await append(database, entries[:2])
    with suppress(LookupError):
        async with database.transaction() as session:
            await append_entries(session, entries[2:])
            raise LookupError
    await append(database, entries[2:])
    assert await events_of(database) == ids(entries)
    assert await found_in(database) == []


async def test_workers_that_append_for_the_same_users_at_once_take_turns(
    database: Database,
) -> None:
    """Also where the users are new, and each worker names them in another order."""
    appended: list[NewEntry] = []

    async def work(number: int, users: list[UUID]) -> None:
        batch = entries_of(Random(number).sample(users, len(users)), 12)
        if number % 2 and appended:
            batch[3] = appended[-1]
        while True:
            try:
                await append(database, batch)
                break
            except StoreError as error:
                if error.fault is not Fault.TRANSIENT:
                    raise
        appended.extend(batch)

    for _ in range(5):
        users = [uuid4() for _ in range(4)]
        await asyncio.gather(*(work(number, users) for number in range(6)))
        for user in users:
            assert set(await events_of(database, user)) == set(ids(appended, user))
    assert await found_in(database) == []


async def test_each_hash_is_the_one_that_the_format_says(database: Database) -> None:
    """Every text is kept byte for byte, with a salt of its own."""
    await append(database, entries_of([USER], 5))
    rows = await database.fetch(
        "SELECT content, content_hash, hash FROM audit_entries ORDER BY position"
    )
    previous = start_hash(USER)
    for row in rows:
        assert content_hash(row["content"].encode()) == row["content_hash"]
        previous = link_hash(previous, row["content_hash"])
        assert row["hash"] == previous
    assert len({codec.decode(row["content"])["salt"] for row in rows}) == 5


async def test_what_was_there_before_gets_a_chain_and_loses_nothing(database: Database) -> None:
    """In the order of instant and id; down and up again give the same entries."""
    await migrate_down(database, BEFORE_CHAINS)
    rng = Random(1)
    rows = [
        (new_id(), rng.choice([USER, OTHER]), datetime(2027, 1, 1, 0, 0, 0, micros % 4, tzinfo=UTC))
        for micros in range(40)
    ]
    for entry_id, user, at in rng.sample(rows, len(rows)):
        await database.fetch(
            "INSERT INTO audit_log (id, user_id, event_type, task_id, task_data, event_id,"
            " timestamp) VALUES ($1, $2, 'created', $3, $4, $5, $6)",
            entry_id,
            user,
            uuid4(),
            codec.encode(task_of(user, '“Zoë” \\ "x"')).decode(),
            new_id(),
            at,
        )
    old = await _log(database)
    for _ in range(2):
        await migrate_up(database)
        assert await found_in(database) == []
        assert await _log(database) == old
        for user in (USER, OTHER):
            chained = await database.fetch(
                "SELECT id FROM audit_entries WHERE user_id = $1 ORDER BY position", user
            )
            expected = sorted((at, entry_id) for entry_id, owner, at in rows if owner == user)
            assert [row["id"] for row in chained] == [entry_id for _, entry_id in expected]
        await append(database, more := entries_of([USER], 2))
        assert await found_in(database) == []
        await database.fetch("DELETE FROM audit_entries WHERE event_id = ANY ($1)", ids(more))
        await migrate_down(database, BEFORE_CHAINS)
        assert await _log(database) == old


async def _log(database: Database) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await database.fetch("TABLE audit_log ORDER BY id")]


async def test_what_is_erased_leaves_its_hashes_and_shows_nowhere(database: Database) -> None:
    """A few at a time; what is appended later is erased as well, and other users keep theirs."""
    entries = entries_of([USER, OTHER], 20)
    await append(database, entries)
    assert await _erase(database, 4) == [4, 4, 2, 0]
    assert await found_in(database) == []
    await append(database, late := entries_of([USER], 2))
    await append(database, entries[:3])
    assert await events_of(database) == ids(entries) + ids(late)
    counts = Counts()
    assert [found async for found in verify_chains(database, counts)] == []
    assert (counts.users, counts.entries, counts.erased) == (2, 22, 12)
    assert await list_entries(database, USER, AuditFilter(), None, 50) == []
    assert len(await list_entries(database, OTHER, AuditFilter(), None, 50)) == 10
    rows = await database.fetch("SELECT * FROM audit_entries WHERE user_id = $1", USER)
    assert all(row[name] is None for row in rows for name in ("content", "event_type", "task_id"))
    assert {row["user_id"] for row in await database.fetch("TABLE audit_log")} == {OTHER}


async def test_a_chain_half_erased_is_told(database: Database) -> None:
    """Whoever erases was interrupted: the rest is still there."""
    await append(database, entries_of([USER], 4))
    async with database.transaction() as session:
        assert await erase_content(session, USER, rows_max=3) == 3
    assert [finding.fault for finding in await found_in(database)] == ["kept"]
    assert await _erase(database, 3) == [1, 0]
    assert await found_in(database) == []


async def test_a_user_who_was_erased_before_the_first_event_stays_erased(
    database: Database,
) -> None:
    assert await _erase(database) == [0]
    await append(database, entries_of([USER], 3))
    assert await found_in(database) == []
    assert await list_entries(database, USER, AuditFilter(), None, 50) == []


async def test_the_chain_outlives_its_user(database: Database) -> None:
    """Deleting the users row takes nothing from it."""
    await database.fetch(
        "INSERT INTO users (id, email, email_key, password_hash)"
        " VALUES ($1, 'a@b.c', 'a@b.c', 'none')",
        USER,
    )
    await append(database, entries := entries_of([USER], 3))
    await _erase(database)
    await database.fetch("DELETE FROM users WHERE id = $1", USER)
    assert await events_of(database) == ids(entries)
    assert await found_in(database) == []


async def _erase(database: Database, rows_max: int = 1_000) -> list[int]:
    """Erase until there is nothing more, and give how many at a time."""
    counts = [1]
    while counts[-1]:
        async with database.transaction() as session:
            counts.append(await erase_content(session, USER, rows_max))
    return counts[1:]
