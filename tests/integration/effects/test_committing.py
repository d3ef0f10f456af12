"""Committing: exactly the bad records become dead letters, and nothing is lost around them."""

import asyncio

import pytest

from streams.effects.committing import DEAD_IN_A_ROW_MAX
from streams.effects.retrying import StoppingError
from streams.observability.metrics import EFFECTS_SKIPPED
from streams.store.database import StoreError
from streams.transport.interface import Message
from tests.campaign.evidence import WATCH_LEDGER
from tests.integration.effects.effects_world import DEAD, TOPIC, World, envelope
from tests.integration.effects.test_processor import is_red
from tests.waiting import eventually

SECRET = "dentist-at-nine"


async def test_halving_finds_exactly_the_bad_ones_among_500(world: World) -> None:
    """Refused by the table, not understood, or met by a bug of the worker: each goes alone."""
    bad: dict[int, bytes | int] = {
        0: -1,
        1: b"{not json",
        77: envelope({"m": 1}),
        250: -1,
        251: -1,
        252: envelope({"n": 252}, "com.example.thing"),
        401: envelope({"n": "many"}),
        499: b"",
    }
    values = [bad.get(number, number) for number in range(500)]
    records = await world.publish(*values)
    await world.processor().process(records)
    assert await world.dead_offsets() == sorted(bad)
    assert await world.written() == [n for n in range(500) if n not in bad]
    assert await world.ledger() == 500
    dead = {int(dict(r.headers)["dlq-offset"]): r for r in await world.records(DEAD)}
    for offset in bad:
        assert (dead[offset].key, dead[offset].value) == (
            records[offset].key,
            records[offset].value,
        )
        assert dead[offset].partition == records[offset].partition


async def test_what_cannot_be_read_costs_the_others_no_transaction(world: World) -> None:
    """Fifty of 500 are dead letters, in their order, and the ledger moves once."""
    for statement in WATCH_LEDGER:
        await world.database.fetch(statement)
    bad = range(0, 500, 10)
    await world.publish(*(b"{not json" if n in bad else n for n in range(500)))
    await world.processor().process(await world.records(TOPIC))
    assert await world.dead_offsets() == list(bad)
    assert await world.written() == [n for n in range(500) if n not in bad]
    moves = await world.database.fetch("SELECT begin_at, end_at FROM campaign_moves")
    assert [tuple(move) for move in moves] == [(0, 500)]


async def test_nothing_of_a_users_is_in_a_log_or_in_a_dead_letters_reason(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by the database's words, not by the reader's, and not by a bug's."""
    await world.database.fetch("ALTER TABLE written ADD CHECK (n <> 7)")
    await world.publish(
        envelope({"n": SECRET}),
        envelope({"n": 7, "title": SECRET}),
        envelope({"n": 1, "bug": SECRET}),
        envelope({"n": 1}, specversion=SECRET),
        envelope({"n": 1}, time=SECRET),
        b'{"title": ' + SECRET.encode(),
        envelope({"n": [SECRET]}),
    )
    await world.processor().process(await world.records(TOPIC))
    reasons = [dict(record.headers)["dlq-error"].decode() for record in await world.records(DEAD)]
    assert len(reasons) == 7
    assert SECRET not in "\n".join(reasons)
    assert caplog.text.count("dead letter in task-events.dlq") == 7
    assert SECRET not in caplog.text


async def test_a_hundred_in_a_row_halt_the_worker(world: World) -> None:
    """The rest stays in the log for a worker that can read it; the ledger is behind the 100th."""
    await world.publish(0, *[-1] * (DEAD_IN_A_ROW_MAX - 1), 1, *[-1] * (DEAD_IN_A_ROW_MAX + 50), 2)
    processor = world.processor()
    working = asyncio.create_task(processor.process(await world.records(TOPIC)))
    await eventually(is_red(processor, "100 dead letters in a row"), 20, "the worker has halted")
    assert len(await world.dead_offsets()) == 2 * DEAD_IN_A_ROW_MAX - 1
    assert await world.written() == [0, 1]
    assert await world.ledger() == 2 * DEAD_IN_A_ROW_MAX + 1
    processor.trouble.stopping.set()
    with pytest.raises(StoppingError):
        await working


async def test_a_type_that_is_not_known_is_skipped_and_counted(world: World) -> None:
    """So that an old and a new version can run together; it is no dead letter."""
    skipped = EFFECTS_SKIPPED.labels("test")
    before = skipped._value.get()
    await world.publish(0, envelope({"n": 9}, "taskflow.novelty.made"), 1)
    await world.processor().process(await world.records(TOPIC))
    assert await world.written() == [0, 1]
    assert skipped._value.get() - before == 1
    assert await world.dead_offsets() == []
    assert await world.ledger() == 3


@pytest.mark.parametrize(
    ("away", "back"),
    [
        ("ALTER TABLE written RENAME TO away", "ALTER TABLE away RENAME TO written"),
        (
            "ALTER TABLE stream_offsets RENAME TO away",
            "ALTER TABLE away RENAME TO stream_offsets",
        ),
    ],
    ids=["effects", "ledger"],
)
async def test_a_missing_table_is_waited_for_red_and_nothing_is_a_dead_letter(
    world: World, away: str, back: str
) -> None:
    await world.publish(*range(5))
    processor = world.processor()
    await world.database.fetch(away)
    working = asyncio.create_task(processor.process(await world.records(TOPIC)))
    await eventually(is_red(processor, "42P01"), 5, "the worker is red")
    await world.database.fetch(back)
    await asyncio.wait_for(working, 5)
    await processor.trouble.check()
    assert await world.written() == list(range(5))
    assert await world.dead_offsets() == []


async def test_the_ledger_waits_for_the_dead_letter(world: World) -> None:
    """A log that takes none for a while makes the worker red, and loses nothing."""
    await world.publish(0, -1, 2)
    world.log.dead_refusals = 1_000_000
    processor = world.processor()
    working = asyncio.create_task(processor.process(await world.records(TOPIC)))
    await eventually(is_red(processor, "takes no dead letter"), 5, "the worker is red")
    assert await world.ledger() == 1
    assert await world.dead_offsets() == []
    world.log.dead_refusals = 0
    await asyncio.wait_for(working, 5)
    assert await world.dead_offsets() == [1]
    assert await world.written() == [0, 2]


async def test_a_dead_letter_that_is_too_large_leaves_its_place(world: World) -> None:
    """A record that was compressed in the log may be larger than the topic beside it takes."""
    large = b"x" * 6_000_000
    (record,) = [
        record.__class__(TOPIC, 0, 0, b"k", large, (("big", b"h" * 100),), 1)
        for record in await world.publish(b"stands in for a compressed one")
    ]
    await world.processor().process([record])
    (dead,) = await world.records(DEAD)
    headers = dict(dead.headers)
    assert (dead.value, headers["dlq-omitted-bytes"]) == (b"", b"6000000")
    assert (headers["dlq-topic"], headers["dlq-offset"]) == (b"task-events", b"0")
    assert await world.ledger() == 1


async def test_null_and_empty_are_told_apart_in_a_dead_letter(world: World) -> None:
    await world.log.publish_many([Message(TOPIC, b"", b"", partition=0)])
    (empty,) = await world.records(TOPIC)
    null = empty.__class__(TOPIC, 0, 0, None, None, (), 1)
    await world.processor().process([null])
    (dead,) = await world.records(DEAD)
    assert [value for name, value in dead.headers if name == "dlq-null"] == [b"key", b"value"]


async def test_what_nobody_can_sort_ends_the_worker(world: World) -> None:
    """An error of an unknown class ends the process, which starts again from the ledger."""
    await world.database.fetch(
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'XX001'; END $$"""
    )
    await world.database.fetch(
        "CREATE TRIGGER fail BEFORE INSERT ON written EXECUTE FUNCTION fail()"
    )
    await world.publish(1)
    with pytest.raises(StoreError):
        await world.processor().process(await world.records(TOPIC))
    assert (await world.ledger(), await world.dead_offsets()) == (0, [])


async def test_a_deadlock_is_tried_again(world: World) -> None:
    """A transient fault in the middle of a transaction rolls all of it back, the ledger too."""
    await world.database.fetch("CREATE SEQUENCE tries")
    await world.database.fetch(
        """CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF nextval('tries') < 4 THEN
                  RAISE EXCEPTION USING ERRCODE = '40P01'; END IF;
              RETURN NULL; END $$"""
    )
    await world.database.fetch(
        "CREATE TRIGGER fail AFTER INSERT ON written EXECUTE FUNCTION fail()"
    )
    await world.publish(*range(3))
    await world.processor().process(await world.records(TOPIC))
    assert await world.written() == [0, 1, 2]
    assert await world.ledger() == 3
