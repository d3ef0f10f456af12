"""Replaying: of each key the oldest first, with its id, beside the ledger, and once."""

import asyncio
from collections.abc import Sequence

import pytest

from streams.effects.replaying import Replay, in_order
from streams.store.database import StoreError
from streams.store.dead_letters import DeadLetter, State, settle
from streams.transport import memory
from streams.transport.interface import Message
from tests.integration.effects.effects_world import DEAD, TOPIC, WORKER, World, envelope
from tests.integration.effects.test_dead_letter_rows import letters

OTHER = "00000000-0000-0000-0000-000000000009"


async def bury(world: World, *numbers: int) -> Sequence[DeadLetter]:
    """Let events of two users die: the even numbers are the other's."""
    for n in numbers:
        if n % 2:
            await world.publish(n)
        else:
            value = envelope({"n": n}, partitionkey=OTHER)
            await world.publish(value, key=OTHER.encode())
    await world.database.fetch("ALTER TABLE written ADD CONSTRAINT none CHECK (n > 1000000)")
    await world.processor().process(await world.records(TOPIC))
    waiting = await letters(world, State.WAITING)
    assert len(waiting) == len(numbers)
    return waiting


def replay(world: World, *, rehearsal: bool = False) -> Replay:
    return Replay(WORKER, world.database, world.log, rehearsal=rehearsal)


async def mend(world: World, check: str = "true") -> None:
    await world.database.fetch("ALTER TABLE written DROP CONSTRAINT none")
    await world.database.fetch(f"ALTER TABLE written ADD CONSTRAINT none CHECK ({check})")


async def test_what_died_is_processed_once_and_the_ledger_stays(world: World) -> None:
    waiting = await bury(world, 1, 3, 5)
    await mend(world)
    before = await world.ledger()
    published = len(await world.records(TOPIC)), len(await world.records(DEAD))
    worked = replay(world)
    outcomes = [(await worked.try_one(letter)).outcome for letter in in_order(waiting)]
    assert outcomes == ["replayed"] * 3
    assert await world.written() == [1, 3, 5]
    assert await world.ledger() == before
    assert (len(await world.records(TOPIC)), len(await world.records(DEAD))) == published
    again = [(await replay(world).try_one(letter)).outcome for letter in waiting]
    assert again == ["not tried"] * 3
    assert await world.written() == [1, 3, 5]


async def test_one_that_fails_holds_up_its_key_and_no_other(world: World) -> None:
    waiting = await bury(world, 1, 2, 3, 4, 5)
    await mend(world, "n <> 3")
    worked = replay(world)
    outcomes = [(await worked.try_one(letter)).outcome for letter in in_order(waiting)]
    assert outcomes == ["replayed", "replayed", "failed", "replayed", "not tried"]
    assert await world.written() == [1, 2, 4]
    three, five = await letters(world, State.WAITING)
    assert (three.failed_tries, five.failed_tries) == (1, 0)


async def test_one_that_is_asked_for_alone_does_not_overtake_an_older_one_of_its_key(
    world: World,
) -> None:
    """Once that is dropped, it may go."""
    one, three = await bury(world, 1, 3)
    await mend(world)
    refused = await replay(world).try_one(three)
    assert (refused.outcome, f"#{one.id} of the same key" in str(refused.why)) == (
        "not tried",
        True,
    )
    async with world.database.transaction() as session:
        assert await settle(session, [one.id], State.DROPPED) == [one.id]
    assert (await replay(world).try_one(three)).outcome == "replayed"
    assert await world.written() == [3]


async def test_two_that_replay_at_once_replay_each_once(world: World) -> None:
    """The table would show what was written twice."""
    waiting = in_order(await bury(world, *range(1, 40, 2)))
    await mend(world)

    async def one() -> list[str]:
        worked = replay(world)
        return [(await worked.try_one(letter)).outcome for letter in waiting]

    both = await asyncio.gather(one(), one())
    assert sorted(await world.written()) == list(range(1, 40, 2))
    assert sum(outcomes.count("replayed") for outcomes in both) == len(waiting)


async def test_a_rehearsal_tells_the_truth_and_changes_nothing(world: World) -> None:
    waiting = in_order(await bury(world, 1, 2, 3, 4, 5))
    await mend(world, "n <> 3")
    worked = replay(world, rehearsal=True)
    outcomes = [(await worked.try_one(letter)).outcome for letter in waiting]
    assert outcomes == ["would replay", "would replay", "failed", "would replay", "not tried"]
    assert await world.written() == []
    assert await letters(world, State.WAITING) == waiting


async def test_a_database_that_is_not_set_up_is_no_letters_fault(world: World) -> None:
    """The command ends, and no letter is counted as failed."""
    (letter,) = await bury(world, 1)
    await world.database.fetch("ALTER TABLE written RENAME TO away")
    with pytest.raises(StoreError, match="42P01"):
        await replay(world).try_one(letter)
    assert await letters(world, State.WAITING) == [letter]


async def test_a_stub_is_replayed_from_its_source_and_what_is_gone_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Never another record that stands where it was."""
    (letter,) = await bury(world, 1)
    await world.database.fetch("UPDATE dead_letters SET dlq_offset = 99")
    (moved,) = await letters(world)
    original = await replay(world).original(moved)
    assert original == (await world.records(TOPIC))[0]
    await world.database.fetch("UPDATE dead_letters SET event_id = gen_random_uuid()")
    (stranger,) = await letters(world)
    assert (await replay(world).try_one(stranger)).outcome == "gone"
    monkeypatch.setattr(memory, "RECORDS_KEPT", 1)
    await world.log.publish_many([Message(TOPIC, b"k", b"v", partition=0)] * 2)
    await mend(world)
    assert (await replay(world).try_one(moved)).outcome == "gone"
    assert (await replay(world).try_one(letter)).outcome == "replayed"
