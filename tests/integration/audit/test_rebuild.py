"""A damaged trail is put right from the log, and nothing that the log cannot give back is lost."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from streams.effects.reading import Event
from streams.effects.rebuilding import Rebuild
from streams.store.audit import erase_content
from streams.store.audit_shadow import ShadowTakenError, open_shadow
from streams.store.database import Session
from streams.store.offsets import set_offsets
from streams.store.operator_log import newest_entries
from streams.transport.interface import Message
from tests.integration.audit.rebuild_world import TOPIC, USERS, RebuildWorld
from tests.operating import taskflow
from tests.waiting import eventually

GONE, CHANGED, FORGED, BROKEN, ERASED, FINE = USERS

RESPELL = """
    UPDATE audit_entries SET content = (content::jsonb)::text WHERE user_id = $1"""
FORGE = """
    INSERT INTO audit_entries
    SELECT user_id, 99, gen_random_uuid(), gen_random_uuid(), event_type, task_id, timestamp,
           content, content_hash, hash
      FROM audit_entries WHERE user_id = $1 AND position = 1"""
CHANGE = """
    UPDATE audit_entries SET content = replace(content, 'Pay', 'Owe')
     WHERE user_id = $1 AND position = 1"""
DAMAGE = (
    ("DELETE FROM audit_entries WHERE user_id = $1 AND position IN (2, 3)", GONE),
    (CHANGE, CHANGED),
    (FORGE, FORGED),
    ("UPDATE audit_heads SET hash = sha256(hash) WHERE user_id = $1", BROKEN),
)
WAITING = """
    SELECT FROM pg_stat_activity
     WHERE datname = current_database() AND wait_event_type = 'Lock'
       AND query ~ 'audit_heads|stream_offsets'"""


async def erase(world: RebuildWorld) -> None:
    async with world.database.transaction() as session:
        assert await erase_content(session, ERASED)


async def damage(world: RebuildWorld) -> None:
    for sql, user in DAMAGE:
        await world.database.fetch(sql, user)


async def test_what_was_removed_changed_and_forged_is_named_and_put_right(
    rebuild_world: RebuildWorld,
) -> None:
    """A deleted account stays erased, a sound chain stays as it is, and verify passes."""
    world = rebuild_world
    await world.publish(60)
    await world.process()
    await erase(world)
    before, fine = await world.trail(), await world.hashes(FINE)
    clean = await world.rebuild("--dry-run", "--json")
    assert (clean.code, clean.json()["differs"]) == (0, False), clean.errors
    assert (clean.json()["entries"], clean.json()["records"]) == (60, 60)
    await damage(world)
    damaged = await world.trail()
    dry = await world.rebuild("--dry-run", "--json")
    told = dry.json()
    counts = {kind: told[kind] for kind in ("missing", "extra", "different", "before", "users")}
    assert counts == {"missing": 2, "extra": 1, "different": 1, "before": 0, "users": 4}
    assert [one["user_id"] for one in told["first"]["missing"]] == [str(GONE)] * 2
    assert (dry.code, told["done"], told["whys"]) == (1, False, [])
    assert await world.trail() == damaged
    unasked = await world.rebuild()
    assert (unasked.code, "--yes" in unasked.errors) == (1, True)
    assert await world.trail() == damaged
    done = await world.rebuild("--yes")
    assert (done.code, "Done: 40 entries of 4 users" in done.out) == (0, True), done.errors
    assert await world.trail() == before
    assert await world.hashes(FINE) == fine
    verified = await taskflow(world.stack.environment(), "audit", "verify")
    assert verified.code == 0, verified.out
    assert not await world.has_shadow()
    (entry, *_) = await newest_entries(world.database, 5)
    assert (entry.command, entry.arguments["missing"]) == ("audit rebuild", 2)
    assert entry.result == "40 entries of 4 users were written anew"


async def test_another_spelling_of_the_same_task_and_a_half_erased_account_are_no_other_content(
    rebuild_world: RebuildWorld,
) -> None:
    """Their chains are told to be broken; what was to be erased is, after the swap."""
    world, told = rebuild_world, list[str]()
    await world.publish(12)
    await world.process()
    await world.database.fetch(RESPELL, CHANGED)
    await world.database.fetch(
        "UPDATE audit_heads SET erased_at = now() WHERE user_id = $1", ERASED
    )
    async with open_shadow(world.database) as shadow:
        rebuild = Rebuild(world.desk(), shadow, told.append)
        await rebuild.begin()
        found = await rebuild.compare()
        assert (found.missing, found.extra, found.different, found.broken) == (0, 0, 0, 2)
        assert "12 entries proved" in told
        await rebuild.swap(0)
    rows = await world.database.fetch("SELECT user_id FROM audit_entries WHERE content IS NULL")
    assert [row["user_id"] for row in rows] == [ERASED] * 2
    assert await world.is_sound()


async def test_a_trail_that_is_gone_as_a_whole_comes_back(rebuild_world: RebuildWorld) -> None:
    """The worker goes on behind it."""
    world = rebuild_world
    await world.publish(30)
    await world.process()
    before = await world.trail()
    await world.database.fetch("DELETE FROM audit_entries")
    await world.database.fetch("DELETE FROM audit_heads")
    assert (await world.rebuild("--yes")).code == 0
    assert await world.trail() == before
    await world.publish(6)
    await world.process()
    assert len(await world.trail()) == 36
    assert await world.is_sound()


async def test_an_account_that_is_deleted_between_comparison_and_swap_stays_erased(
    rebuild_world: RebuildWorld,
) -> None:
    """Also where it was the one whose chain is written anew; and what came in since is there."""
    world = rebuild_world
    await world.publish(60)
    await world.process()
    await world.database.fetch("DELETE FROM audit_entries WHERE user_id = $1", ERASED)
    async with open_shadow(world.database) as shadow:
        rebuild = Rebuild(world.desk(), shadow, lambda _: None)
        assert await rebuild.begin() == []
        assert (await rebuild.compare()).missing == 10
        async with world.database.transaction() as session:
            await erase_content(session, ERASED)
        await world.publish(12)
        await world.process()
        await rebuild.swap(0)
    texts = await world.database.fetch(
        "SELECT content FROM audit_entries WHERE user_id = $1", ERASED
    )
    assert [row["content"] for row in texts] == [None] * 12
    assert len(await world.trail()) == 72
    assert await world.is_sound()


async def test_what_the_log_no_longer_has_is_compared_without_it_and_not_swapped(
    rebuild_world: RebuildWorld,
) -> None:
    """What is older than the log is no extra entry."""
    world = rebuild_world
    await world.publish(60)
    await world.process()
    await world.cut_log(3)
    await world.publish(12)
    await world.process()
    await world.database.fetch("DELETE FROM audit_entries WHERE position = 12")
    before = await world.trail()
    dry = await world.rebuild("--dry-run", "--json")
    told = dry.json()
    assert (dry.code, told["extra"], told["missing"]) == (1, 0, 6), dry.errors
    assert told["before"] > 0
    assert any("begins at 3" in why for why in told["whys"])
    refused = await world.rebuild("--yes")
    assert (refused.code, "begins at 3: what was before" in refused.errors) == (1, True)
    assert await world.trail() == before


async def test_a_topic_that_was_made_anew_is_refused(rebuild_world: RebuildWorld) -> None:
    world = rebuild_world
    await world.publish(12)
    await world.process()
    ledger = dict.fromkeys(range(4), 500)
    async with world.database.transaction() as session:
        await set_offsets(session, "audit", TOPIC, ledger)
    told = (await world.rebuild("--dry-run", "--json")).json()
    assert (told["extra"], told["before"], told["differs"]) == (0, 12, False)
    refused = await world.rebuild("--yes")
    assert "the ledger is at 500 of task-events[0], and the log ends at" in refused.errors


async def test_a_dead_letter_that_waits_is_refused_and_one_that_was_dropped_is_left_out(
    rebuild_world: RebuildWorld,
) -> None:
    world = rebuild_world
    await world.publish(12)
    await world.transport.publish(Message(TOPIC, str(GONE).encode(), b"{no event"))
    await world.process()
    refused = await world.rebuild("--yes")
    assert (refused.code, "dead letter #" in refused.errors) == (1, True)
    await world.database.fetch(
        "UPDATE dead_letters SET state = 'dropped', settled_at = clock_timestamp()"
    )
    same = await world.rebuild("--yes")
    assert (same.code, "The trail is what the log says" in same.out) == (0, True), same.errors
    await world.database.fetch("DELETE FROM dead_letters")
    await world.database.fetch("DELETE FROM audit_entries WHERE user_id = $1", GONE)
    refused = await world.rebuild("--yes")
    assert (refused.code, "this version cannot read" in refused.errors) == (1, True)
    assert len(await world.trail()) == 10


async def test_what_a_rewound_worker_has_yet_to_go_through_is_not_taken_away(
    rebuild_world: RebuildWorld,
) -> None:
    world = rebuild_world
    await world.publish(24)
    await world.process()
    async with world.database.transaction() as session:
        extents = await world.transport.extents(TOPIC)
        back = {number: 1 for number, extent in extents.items() if extent.end}
        await set_offsets(session, "audit", TOPIC, back)
    await world.database.fetch("UPDATE audit_heads SET hash = sha256(hash)")
    refused = await world.rebuild("--yes")
    assert (refused.code, "was rewound, and is to go on first" in refused.errors) == (1, True)
    assert len(await world.trail()) == 24
    await world.database.fetch("DELETE FROM stream_offsets")
    refused = await world.rebuild("--yes")
    assert (refused.code, "was rewound" in refused.errors) == (1, True)
    assert len(await world.trail()) == 24


async def test_of_two_at_once_the_second_is_refused_and_the_shadow_of_a_killed_one_is_dropped(
    rebuild_world: RebuildWorld,
) -> None:
    """Whoever lost its lock writes nothing into the shadow of another."""
    world = rebuild_world
    await world.publish(12)
    await world.process()
    async with open_shadow(world.database) as shadow:
        second = await world.rebuild("--yes")
        assert (second.code, "another rebuild" in second.errors) == (1, True)
        await world.database.fetch("UPDATE audit_shadow.run SET id = gen_random_uuid()")
        with pytest.raises(ShadowTakenError):
            async with shadow.transaction():
                pass
    assert await world.has_shadow()
    assert (await world.rebuild("--yes")).code == 0
    assert not await world.has_shadow()


async def test_one_that_is_killed_within_the_swap_has_changed_nothing(
    rebuild_world: RebuildWorld,
) -> None:
    """It leaves its entry in the operators' log without a result."""
    world = rebuild_world
    await world.publish(24)
    await world.process()
    await damage(world)
    before = await world.trail()
    async with world.database.transaction() as session:
        # The swap waits for this row, and is killed there.
        await session.fetch("SELECT FROM audit_heads WHERE user_id = $1 FOR UPDATE", GONE)
        process = await world.start_rebuild()

        async def waits() -> bool:
            return await world.database.fetchrow(WAITING) is not None

        await eventually(waits, 20, "the swap waits for the row")
        process.kill()
        await process.wait()
    assert await world.trail() == before
    again = await world.rebuild("--yes")
    assert again.code == 0, again.errors
    assert await world.is_sound()
    newest, killed, *_ = await newest_entries(world.database, 5)
    assert (killed.result, newest.result) == (None, "16 entries of 4 users were written anew")


async def test_what_a_worker_is_just_committing_when_the_swap_begins_is_kept(
    rebuild_world: RebuildWorld,
) -> None:
    """The swap waits for it, and reads it from the log."""
    world, applied, go_on = rebuild_world, asyncio.Event(), asyncio.Event()

    async def apply_slowly(session: Session, events: Sequence[Event]) -> None:
        await world.worker.apply(session, events)
        applied.set()
        await go_on.wait()

    await world.publish(60)
    await world.process()
    await world.database.fetch("DELETE FROM audit_entries WHERE position = 1")
    async with open_shadow(world.database) as shadow:
        rebuild = Rebuild(world.desk(), shadow, lambda _: None)
        await rebuild.begin()
        assert (await rebuild.compare()).missing == 6
        await world.publish(12)
        slow = replace(world.worker, apply=apply_slowly)
        processing = asyncio.create_task(world.process(slow))
        await asyncio.wait_for(applied.wait(), 10)
        swapping = asyncio.create_task(rebuild.swap(0))

        async def waits() -> bool:
            return await world.database.fetchrow(WAITING) is not None

        await eventually(waits, 4, "the swap waits for the worker")
        go_on.set()
        await asyncio.gather(processing, swapping)
    assert len(await world.trail()) == 72
    assert await world.is_sound()


async def test_a_running_worker_under_load_loses_nothing_through_the_swap(
    rebuild_world: RebuildWorld,
) -> None:
    """What it writes while its ledger is held comes after what was written anew."""
    world = rebuild_world
    world.stack.add("audit")
    await world.publish(300)
    over = asyncio.Event()
    async with world.stack.running():
        await eventually(lambda: world.has(300), 30, "all are audited")
        loading = asyncio.create_task(world.load(over))
        await world.database.fetch("DELETE FROM audit_entries WHERE position <= 20")
        done = await world.rebuild("--yes")
        over.set()
        count = 300 + await loading
        assert (done.code, "Done: " in done.out) == (0, True), done.errors
        await eventually(lambda: world.has(count), 30, "all are audited")
    assert count > 306
    assert await world.is_sound()
    assert (await world.rebuild("--dry-run")).code == 0
