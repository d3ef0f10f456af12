"""Which records of task-updates reach clients, and where each partition's latest position is."""

import json
from collections.abc import Mapping
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.arrivals import BadRecordError, read_arrival
from gateway.feed import RECORDS_DROPPED, Feed
from gateway.limits import Limits
from gateway.sieve import Sieve
from schemas.partitions import partition_of
from schemas.positions import Position
from streams.transport.interface import Extent, Headers, Record

USER = UUID("018f0000-0000-7000-8000-000000000001")
EMPTY = {0: Extent(0, 0)}


def envelope(event_id: UUID, user_id: UUID = USER) -> dict[str, object]:
    return {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "/taskflow/api",
        "type": "taskflow.task.created",
        "subject": "x",
        "time": "2027-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": str(user_id),
        "data": {},
    }


def record(
    offset: int,
    event_id: UUID | None = None,
    headers: Headers = (),
    key: bytes | None = str(USER).encode(),
    value: bytes | None = None,
) -> Record:
    value = value if value is not None else json.dumps(envelope(event_id or uuid4())).encode()
    return Record("task-updates", 0, offset, key, value, headers, 0)


def epoch(number: int) -> Headers:
    return (("epoch", str(number).encode()),)


def feed(extents: Mapping[int, Extent] = EMPTY, since: Mapping[int, int] | None = None) -> Feed:
    """Begin at the ends, but for what fills the sieve."""
    begun = Feed(Limits())
    begun.begin(extents, since or {number: extent.end for number, extent in extents.items()})
    return begun


def dropped(why: str) -> float:
    return float(RECORDS_DROPPED.labels(why)._value.get())


def test_an_arrival_has_the_envelopes_bytes_and_the_records_position() -> None:
    event_id = uuid4()
    taken = record(7, event_id, epoch(3))
    arrival = read_arrival(taken)
    assert arrival.envelope is taken.value
    assert arrival.position == Position(0, 7, event_id.bytes[8:])
    assert (arrival.user_id, arrival.event_id, arrival.epoch) == (USER, event_id, 3)


@pytest.mark.parametrize(
    "bad",
    [
        Record("task-updates", 0, 0, str(USER).encode(), None, (), 0),
        record(0, value=b"{"),
        record(0, value=b"[]"),
        record(0, value=b'{"specversion":"1.0"}'),
        record(0, value=json.dumps(envelope(uuid4())).encode() + b" " * 1_048_576),
        record(0, key=None),
        record(0, key=str(uuid4()).encode()),
        record(0, headers=(("epoch", b"x"),)),
        record(0, headers=(("epoch", b"-1"),)),
        record(0, headers=(("epoch", b"1" * 20),)),
    ],
)
def test_a_record_that_is_no_event_is_skipped_and_counted_and_the_next_one_comes(
    bad: Record,
) -> None:
    with pytest.raises(BadRecordError):
        read_arrival(bad)
    reading, before = feed(), dropped("bad")
    assert reading.take(bad) is None
    assert dropped("bad") == before + 1
    assert reading.latest_of(USER) == Position(0, 0)
    assert reading.take(record(1))


def test_an_event_id_comes_once() -> None:
    reading, event_id = feed(), uuid4()
    assert reading.take(record(0, event_id))
    assert reading.take(record(1, event_id)) is None
    assert reading.latest_of(USER) == Position.of_event(0, 1, event_id)


def test_a_lower_epoch_is_dropped_and_the_leaders_copy_of_it_counts() -> None:
    reading, event_id = feed(), uuid4()
    assert reading.take(record(0, headers=epoch(2)))
    assert reading.take(record(1, event_id, epoch(1))) is None
    assert reading.take(record(2, event_id, epoch(2)))


def test_a_repeated_record_of_a_new_leader_still_puts_the_old_one_down() -> None:
    reading, event_id = feed(), uuid4()
    assert reading.take(record(0, event_id, epoch(1)))
    assert reading.take(record(1, event_id, epoch(2))) is None
    assert reading.take(record(2, headers=epoch(1))) is None


def test_epochs_are_compared_within_a_partition_only() -> None:
    reading = feed({0: Extent(0, 0), 1: Extent(0, 0)})
    assert reading.take(record(0, headers=epoch(9)))
    other = Record(
        "task-updates", 1, 0, str(USER).encode(), record(0).value, epoch(1), timestamp_ms=0
    )
    assert reading.take(other)


def test_a_feed_is_warm_at_the_end_of_the_start_and_remembers_what_was_there() -> None:
    event_id = uuid4()
    reading = feed({0: Extent(0, 2)})
    reading.take(record(0, event_id, epoch(5)))
    assert not reading.warm
    reading.take(record(1))
    assert bool(reading.warm)  # mypy takes a property for a constant
    assert reading.take(record(2, event_id, epoch(5))) is None
    assert reading.take(record(3, headers=epoch(4))) is None
    assert reading.take(record(4))


def test_a_partition_begins_a_thousand_records_before_its_end_and_never_before_its_start() -> None:
    extents = {0: Extent(0, 5_000), 1: Extent(4_500, 5_000), 2: Extent(0, 0), 3: Extent(9, 9)}
    assert feed(extents).next_offsets() == {0: 4_000, 1: 4_500, 2: 0, 3: 9}
    since = {0: 2_000, 1: 4_600, 2: 0, 3: 9}
    assert feed(extents, since).next_offsets() == {0: 1_000, 1: 4_500, 2: 0, 3: 9}


def test_an_empty_partition_has_the_position_before_all_records() -> None:
    assert feed().latest_of(USER) == Position(0, -1)
    assert feed().warm
    assert not Feed(Limits()).warm


def test_a_users_position_is_that_of_its_own_partition() -> None:
    partition = partition_of(str(USER).encode(), 4)
    reading = feed({number: Extent(0, 0) for number in range(4)})
    assert reading.latest_of(USER).partition == partition


def test_a_record_read_again_is_ignored() -> None:
    reading = feed()
    first = record(0)
    assert reading.take(first)
    repeated = dropped("repeated")
    assert reading.take(first) is None
    assert dropped("repeated") == repeated


def test_forgetting_begins_anew() -> None:
    reading, event_id = feed(), uuid4()
    reading.take(record(0, event_id, epoch(7)))
    reading.forget()
    assert not reading.begun
    reading.begin({0: Extent(0, 0)}, {0: 0})
    assert reading.take(record(0, event_id, epoch(1)))


@given(
    st.lists(st.tuples(st.integers(0, 30), st.one_of(st.none(), st.integers(0, 5))), max_size=200),
    st.integers(1, 40),
)
def test_what_passes_never_repeats_within_the_window_and_its_epochs_never_fall(
    offered: list[tuple[int, int | None]], ids_max: int
) -> None:
    """The window is what came last, whether it passed or not."""
    sieve = Sieve(ids_max)
    passed = [(i, n, e) for i, (n, e) in enumerate(offered) if sieve.admits(UUID(int=n), e)]
    epochs = [e for _, _, e in passed if e is not None]
    assert epochs == sorted(epochs)
    for index, number, _ in passed:
        assert not [n for i, n, _ in passed if index - ids_max <= i < index and n == number]
    assert len(sieve._ids) <= ids_max


def test_an_id_that_keeps_coming_stays_known() -> None:
    """Each copy is near the one before, and the last is far from the first."""
    sieve = Sieve(3)
    passed = [sieve.admits(UUID(int=number), None) for number in (9, 1, 2, 9, 3, 4, 9)]
    assert passed == [True, True, True, False, True, True, False]


@given(st.lists(st.integers(0, 30), max_size=200))
def test_every_id_passes_at_its_first_coming(offered: list[int]) -> None:
    sieve = Sieve(1_000)
    passed = [n for n in offered if sieve.admits(UUID(int=n), None)]
    assert passed == list(dict.fromkeys(offered))
