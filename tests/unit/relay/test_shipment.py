"""What became of a round, summed up without any I/O."""

from uuid import UUID

import pytest

from streams.relay.shipping import Result, shipment_of
from streams.store.outbox import LastPlace, OutboxRow
from streams.transport.interface import (
    Message,
    MessageTooLargeError,
    NotAttemptedError,
    Place,
    TransportUnavailableError,
)


def row(seq: int) -> OutboxRow:
    return OutboxRow(seq, UUID(int=seq), "t", "/s", UUID(int=0), "x", "now", None, "{}")


def pair(seq: int, topic: str) -> tuple[OutboxRow, Message]:
    return row(seq), Message(topic, b"k", b"v")


def test_a_row_is_sent_when_each_of_its_messages_has_a_place() -> None:
    pairs = [pair(1, "a"), pair(1, "b"), pair(2, "a"), pair(2, "b"), pair(3, "a")]
    results: list[Result] = [
        Place("a", 0, 10),
        Place("b", 0, 20),
        Place("a", 0, 11),
        TransportUnavailableError("no answer"),
        Place("a", 0, 12),
    ]
    shipment = shipment_of(pairs, results)
    assert shipment.sent == (1, 3)
    assert [str(failure) for failure in shipment.failures] == ["no answer"]


def test_places_are_the_last_of_each_partition_of_rows_that_were_sent() -> None:
    pairs = [pair(seq, "a") for seq in (1, 2, 3)]
    places = [Place("a", 0, 10), Place("a", 1, 4), Place("a", 0, 11)]
    assert shipment_of(pairs, places).places == (
        LastPlace("a", 0, 11, UUID(int=3)),
        LastPlace("a", 1, 4, UUID(int=2)),
    )


@pytest.mark.parametrize("error", [NotAttemptedError, MessageTooLargeError])
def test_a_row_that_failed_anywhere_stays_and_leaves_no_place(error: type[Exception]) -> None:
    pairs = [pair(1, "a"), pair(1, "b")]
    failure = error("x")
    assert isinstance(failure, NotAttemptedError | MessageTooLargeError)
    shipment = shipment_of(pairs, [Place("a", 0, 10), failure])
    assert (shipment.sent, shipment.places, shipment.failures) == ((), (), (failure,))


def test_nothing_is_a_shipment_too() -> None:
    shipment = shipment_of([], [])
    assert (shipment.sent, shipment.places, shipment.failures) == ((), (), ())


def test_each_message_needs_its_result() -> None:
    with pytest.raises(ValueError, match="shorter"):
        shipment_of([pair(1, "a")], [])
