"""`taskflow topics`: what differs is shown, what may be altered is altered, and no more."""

from datetime import timedelta

import pytest

from schemas.settings import Settings
from schemas.topics import REMINDERS, TASK_EVENTS, TOPICS, Topic
from streams.store.database import Database
from streams.store.operator_log import newest_entries
from streams.transport.comparing import differences
from streams.transport.interface import TopicState
from streams.transport.opening import open_transport
from tests.operating import taskflow


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "DATA_DIR": "/nonexistent",
        "DATABASE_URL": settings.required_database_url(),
        "KAFKA_BOOTSTRAP_SERVERS": settings.required_bootstrap_servers(),
        "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "KAFKA_PARTITIONS": "4",
    }


async def test_what_differs_is_shown_and_applied_after_asking(
    environment: dict[str, str], settings: Settings, database: Database
) -> None:
    """A missing topic is made, a setting altered; what was done is in the operators' log."""
    other = Topic(TASK_EVENTS.name, timedelta(days=1), 65_536, "Made by somebody else.")
    async with open_transport(settings) as transport:
        await transport.create_topics(
            [other, *(t for t in TOPICS if t not in {TASK_EVENTS, REMINDERS})]
        )
    found = await taskflow(environment, "topics", "diff", "--json")
    assert found.code == 1
    assert {(one["topic"], one["name"], one["found"]) for one in found.json()} == {
        ("task-events", "retention.ms", "86400000"),
        ("task-events", "max.message.bytes", "65536"),
        ("reminders", "topic", "missing"),
    }
    dry = (await taskflow(environment, "topics", "apply", "--dry-run", "--json")).json()
    assert (dry["done"], len(dry["differences"])) == (False, 3)
    unasked = await taskflow(environment, "topics", "apply")
    assert (unasked.code, "--yes" in unasked.errors) == (1, True)
    assert (await taskflow(environment, "topics", "diff")).code == 1
    applied = await taskflow(environment, "topics", "apply", "--yes")
    assert (applied.code, applied.out.splitlines()[-1]) == (0, "1 made, 1 altered.")
    same = await taskflow(environment, "topics", "diff")
    assert (same.code, same.out) == (0, "The topics are as the table has them.\n")
    (entry,) = await newest_entries(database, 10)
    assert (entry.command, entry.result) == ("topics apply", "1 made, 1 altered")
    assert entry.arguments == {"make": ["reminders"], "alter": ["task-events"]}
    listed = await taskflow(environment, "log", "--json")
    assert [one["command"] for one in listed.json()] == ["topics apply"]
    assert "1 made, 1 altered" in (await taskflow(environment, "log")).out


async def test_another_number_of_partitions_is_shown_and_left_alone(
    environment: dict[str, str], settings: Settings
) -> None:
    """More would take a user's events out of their order; fewer would lose some."""
    async with open_transport(settings) as transport:
        await transport.create_topics(TOPICS)
        for number in ("2", "6"):
            wanted = environment | {"KAFKA_PARTITIONS": number}
            found = await taskflow(wanted, "topics", "diff")
            assert (found.code, "set KAFKA_PARTITIONS=4" in found.out) == (1, True)
            applied = await taskflow(wanted, "topics", "apply", "--yes")
            assert "There is nothing to apply." in applied.out
        state = await transport.describe_topics(TOPICS)
        assert {one.partitions for one in state.values()} == {4}


def test_too_few_copies_are_told_with_the_tool_that_mends_them() -> None:
    state = TopicState(4, 1, TASK_EVENTS.configs(3))
    (one,) = differences([TASK_EVENTS], {"task-events": state}, partitions=4, replication=3)
    assert (one.name, one.found, one.can_be_altered) == ("replication", "1", False)
    assert "kafka-reassign-partitions" in str(one.cure)
