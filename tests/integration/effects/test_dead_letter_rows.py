"""Dead letters are rows, once by their place, with what an operator needs to decide."""

from collections.abc import Sequence
from dataclasses import replace

from streams.effects.dead_letters import dead_letter, event_id_of, original_of, stub_of
from streams.effects.reading import PoisonError
from streams.store.dead_letters import (
    Cursor,
    DeadLetter,
    NewDeadLetter,
    State,
    list_dead_letters,
    note_dead_letters,
)
from streams.store.offsets import set_offsets
from streams.transport.interface import Record
from tests.integration.effects.effects_world import DEAD, KEY, TOPIC, World, envelope


async def letters(world: World, state: State | None = None) -> Sequence[DeadLetter]:
    return await list_dead_letters(world.database, "test", state, Cursor(), 100)


async def test_a_row_says_where_the_letter_is_and_why(world: World) -> None:
    """The event's id is known though the event is refused; of what is no event there is none."""
    refused = envelope({"n": -1})
    await world.publish(0, refused, b"{not json", 1)
    await world.processor().process(await world.records(TOPIC))
    first, second = await letters(world, State.WAITING)
    assert (first.topic, first.partition, first.offset, first.key) == (TOPIC, 0, 1, KEY)
    assert first.event_id == event_id_of(refused)
    assert "CheckViolationError" in first.error
    assert (second.offset, second.event_id, second.failed_tries) == (2, None, 0)
    dead = {record.offset: record for record in await world.records(DEAD)}
    assert dead[first.dlq_offset].value == refused
    assert dead[second.dlq_offset].value == b"{not json"


async def test_what_dies_again_after_a_rewind_is_the_same_row_and_waits(world: World) -> None:
    """And what is processed then waits no more: its event, and not just what stands there."""
    await world.publish(-1, -1, 2)
    processor = world.processor()
    await processor.process(await world.records(TOPIC))
    ids = [letter.id for letter in await letters(world)]
    await world.database.fetch(
        "UPDATE dead_letters SET state = 'dropped', settled_at = clock_timestamp()"
    )
    await world.database.fetch("ALTER TABLE written DROP CONSTRAINT written_n_check")
    await world.database.fetch("ALTER TABLE written ADD CHECK (n > -1) NOT VALID")
    for allowed in (False, True):
        if allowed:
            await world.database.fetch("ALTER TABLE written DROP CONSTRAINT written_n_check")
        async with world.database.transaction() as session:
            await set_offsets(session, "test", TOPIC, {0: 0})
        processor.ledger.forget(0)
        await processor.process(await world.records(TOPIC))
        assert [letter.id for letter in await letters(world)] == ids
        expected = State.REPLAYED if allowed else State.WAITING
        assert {letter.state for letter in await letters(world)} == {expected}


async def test_any_reason_and_any_key_fits(world: World) -> None:
    """A row that the table refused would be tried for ever."""
    new = NewDeadLetter("test", TOPIC, 0, 7, b"\0" * 5_000, None, "a\0b" * 2_000, 0, 0)
    async with world.database.transaction() as session:
        await note_dead_letters(session, [new])
        await note_dead_letters(session, [replace(new, key=None, error="")])
    (letter,) = await letters(world)
    assert (letter.key, letter.error) == (None, "")


def test_the_original_is_got_back_from_its_letter() -> None:
    """Also of a letter that died itself, and of null and empty parts."""
    for key, value in ((b"k", b"v"), (None, b"v"), (b"k", None), (b"", b"")):
        record = Record(TOPIC, 3, 77, key, value, (("a", b"1"), ("dlq-app", b"older")), 5)
        message = dead_letter(record, "test", PoisonError("no"))
        dead = Record(DEAD, 3, 0, message.key, message.value, message.headers, 5)
        assert original_of(dead) == record
        stub = stub_of(message)
        assert original_of(replace(dead, value=b"", headers=stub.headers)) is None
