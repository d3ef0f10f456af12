"""What the brokers say of a topic is believed only when they have it."""

import pytest

from streams.transport.interface import TransportUnavailableError, UnknownTopicError
from streams.transport.kafka.topics import partitions_of


def test_partitions_are_counted() -> None:
    assert partitions_of("t", {"error_code": 0, "partitions": [{}, {}, {}]}) == 3


def test_an_unknown_topic_is_named() -> None:
    with pytest.raises(UnknownTopicError, match="there is no topic t: run `taskflow topics`"):
        partitions_of("t", {"error_code": 3, "partitions": []})


@pytest.mark.parametrize("code", [0, 5, 29])
def test_a_topic_without_partitions_is_asked_for_again(code: int) -> None:
    """It has just been made, or may not be seen: to remember none would stop this process."""
    with pytest.raises(TransportUnavailableError):
        partitions_of("t", {"error_code": code, "partitions": []})
