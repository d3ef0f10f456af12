"""Topics and the clock, as `streams/transport/interface.py` promises them."""

from datetime import timedelta

import pytest

from schemas.topics import Topic
from streams.transport.interface import (
    Message,
    MessageTooLargeError,
    TransportClosedError,
    UnknownTopicError,
)
from tests.contract.conftest import PARTITIONS, World
from tests.contract.reading import publish, read_all
from tests.waiting import eventually

LETTERS = Topic("letters", timedelta(days=1), 65_536, "For the contract.")
NOWHERE = Topic("nowhere", timedelta(days=1), 65_536, "Not made.")
LARGER = Topic("letters", timedelta(days=2), 131_072, "For the contract, and larger.")


async def test_a_topic_is_described_as_it_was_made_and_a_missing_one_is_not_there(
    world: World,
) -> None:
    found = await world.transport.describe_topics([LETTERS, NOWHERE])
    assert set(found) == {"letters"}
    assert (found["letters"].partitions, found["letters"].replication) == (PARTITIONS, 1)
    assert found["letters"].configs.items() >= LETTERS.configs(1).items()
    assert await world.transport.describe_topics([NOWHERE]) == {}
    assert await world.transport.describe_topics([]) == {}


async def test_an_altered_topic_has_its_new_settings_its_records_and_all_else(
    world: World,
) -> None:
    """What was too large is taken by this transport at once."""
    large = Message(world.topic, b"k", b"x" * 100_000)
    await publish(world.transport, [Message(world.topic, b"k", b"v")])
    with pytest.raises(MessageTooLargeError):
        await world.transport.publish(large)
    before = (await world.transport.describe_topics([LETTERS]))["letters"]
    await world.transport.alter_topics([LARGER])

    async def is_altered() -> bool:
        found = (await world.transport.describe_topics([LETTERS]))["letters"]
        return found.configs == {**before.configs, **LARGER.configs(1)}

    await eventually(is_altered, 10, "the settings are those of the new table, and no others")
    await world.transport.publish(large)
    logs = await read_all(world.transport, world.topic)
    assert sorted(len(r.value or b"") for log in logs.values() for r in log) == [1, 100_000]


async def test_a_topic_that_is_not_there_is_not_altered_and_not_made(world: World) -> None:
    with pytest.raises(UnknownTopicError):
        await world.transport.alter_topics([NOWHERE])
    assert await world.transport.describe_topics([NOWHERE]) == {}
    await world.transport.alter_topics([])


async def test_the_clock_of_a_log_on_this_machine_is_this_machines(world: World) -> None:
    """To a tenth of a second and the time that the answer took."""
    skew_s = await world.transport.clock_skew_s()
    assert skew_s is not None
    assert abs(skew_s) < 1


async def test_a_closed_transport_tells_nothing(world: World) -> None:
    await world.transport.aclose()
    with pytest.raises(TransportClosedError):
        await world.transport.describe_topics([LETTERS])
    with pytest.raises(TransportClosedError):
        await world.transport.alter_topics([LETTERS])
    with pytest.raises(TransportClosedError):
        await world.transport.clock_skew_s()
