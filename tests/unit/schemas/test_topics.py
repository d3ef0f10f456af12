"""The topics: the contract's three, and dead letters beside those that workers read."""

from datetime import timedelta

import pytest

from schemas.topics import EVENT_BYTES_MAX, ROUTES, SOURCES, TOPICS, Topic


def test_the_topics_are_the_contracts_and_kept_as_long_as_designed() -> None:
    assert {topic.name: topic.retention for topic in TOPICS} == {
        "task-events": timedelta(days=30),
        "task-updates": timedelta(days=7),
        "reminders": timedelta(days=7),
        "task-events.dlq": timedelta(days=30),
        "reminders.dlq": timedelta(days=30),
    }


@pytest.mark.parametrize("topic", SOURCES, ids=lambda topic: topic.name)
def test_dead_letters_have_room_for_the_largest_message_and_its_headers(topic: Topic) -> None:
    assert topic.message_bytes_max > EVENT_BYTES_MAX
    assert topic.dead_letters.message_bytes_max >= topic.message_bytes_max + 65_536
    assert topic.dead_letters.name == f"{topic.name}.dlq"


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_a_name_is_one_that_kafka_takes_with_a_prefix_of_sixty(topic: Topic) -> None:
    assert len(topic.name) + 60 <= 249
    assert set(topic.name) <= set("abcdefghijklmnopqrstuvwxyz-.")
    assert topic.about.endswith(".")


def test_no_type_has_two_routes() -> None:
    prefixes = [prefix for prefix, _ in ROUTES]
    for prefix in prefixes:
        assert [other for other in prefixes if other.startswith(prefix)] == [prefix]
