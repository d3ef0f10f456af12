"""Rewinding: what is planned is what is done, and what cannot be is refused with its reason."""

import pytest

from streams.effects.rewinding import plan, rewind
from streams.operators.asking import RefusedError
from tests.integration.effects.effects_world import TOPIC, WORKER, World


async def test_a_plan_tells_what_is_done_again_and_what_is_lost(world: World) -> None:
    await world.publish(*range(10))
    processor = world.processor()
    await processor.process((await world.records(TOPIC))[:6])
    back, other = await plan(WORKER, world.database, world.log, "start", None)
    assert (back.begin, back.to, back.again, back.skipped) == (6, 0, 6, 0)
    assert (other.partition, other.begin, other.to) == (1, 0, 0)
    forward, _ = await plan(WORKER, world.database, world.log, "end", None)
    assert (forward.begin, forward.to, forward.again, forward.skipped) == (6, 10, 0, 4)
    (exact,) = await plan(WORKER, world.database, world.log, "3", 0)
    assert exact.to == 3
    (since,) = await plan(WORKER, world.database, world.log, "2020-01-01T00:00:00Z", 0)
    (until,) = await plan(WORKER, world.database, world.log, "2999-01-01T00:00:00Z", 0)
    assert (since.to, until.to) == (0, 10)
    assert await world.ledger() == 6
    assert await rewind(WORKER, world.database, [exact]) == [exact]
    assert await world.ledger() == 3


async def test_a_rewind_says_from_where_it_moved_though_the_worker_went_on_since(
    world: World,
) -> None:
    """The worker that was there is fenced, and follows."""
    await world.publish(*range(10))
    processor = world.processor()
    records = await world.records(TOPIC)
    await processor.process(records[:5])
    planned = await plan(WORKER, world.database, world.log, "2", 0)
    await processor.process(records[5:8])
    (done,) = await rewind(WORKER, world.database, planned)
    assert (done.begin, done.to) == (8, 2)
    await processor.process(records[8:])
    assert await world.written() == [*range(8), *range(2, 10)]


@pytest.mark.parametrize(
    ("to", "partition", "words"),
    [
        ("3", None, "add --partition"),
        ("11", 0, "the log has 0 to 10"),
        ("start", 2, "has the partitions 0 to 1"),
        ("yesterday", None, "RFC 3339"),
        ("2027-01-31", None, "RFC 3339"),
        ("-1", 0, "RFC 3339"),
    ],
)
async def test_what_cannot_be_is_refused(
    world: World, to: str, partition: int | None, words: str
) -> None:
    await world.publish(*range(10))
    with pytest.raises(RefusedError, match=words):
        await plan(WORKER, world.database, world.log, to, partition)
