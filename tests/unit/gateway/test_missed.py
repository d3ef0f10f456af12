"""What a client has missed is the same from memory, from the index and from the log."""

import json
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.arrivals import Arrival, read_arrival
from gateway.feed import Feed, Lane
from gateway.history import Known, Unread, Wrong
from gateway.limits import Limits
from gateway.lookup import Lookup, Pass, clusters
from gateway.search import Reason, Search, Sweep
from schemas.positions import Position
from streams.transport.interface import Extent, Record

USERS = [UUID(int=number + 1) for number in range(3)]
SIEVE = 5
LIMITS = replace(Limits(), sieve_records=SIEVE)


def record(offset: int, user: UUID, event_id: UUID) -> Record:
    envelope = {
        "specversion": "1.0",
        "id": str(event_id),
        "source": "/taskflow/api",
        "type": "taskflow.task.created",
        "subject": "x",
        "time": "2027-01-01T00:00:00Z",
        "datacontenttype": "application/json",
        "partitionkey": str(user),
        "data": {},
    }
    value = json.dumps(envelope).encode()
    return Record("task-updates", 0, offset, str(user).encode(), value, (), 0)


@st.composite
def logs(draw: st.DrawFn) -> Sequence[Record]:
    """Give a log of one partition in which some records are repeated soon after, and some bad."""
    found: list[Record] = []
    for offset in range(draw(st.integers(1, 40))):
        recent = [r for r in found[-SIEVE + 1 :] if r.value]
        kind = draw(st.integers(0, 5))
        if kind == 0 and recent:
            found.append(replace(draw(st.sampled_from(recent)), offset=offset))
        elif kind == 1:
            found.append(replace(record(offset, USERS[0], UUID(int=offset)), value=b"bad"))
        else:
            user = draw(st.sampled_from(USERS))
            found.append(record(offset, user, UUID(int=1_000 + offset)))
    return found


def position_of(found: Record) -> Position:
    return Position(0, found.offset) if found.value == b"bad" else read_arrival(found).position


def expected(log: Sequence[Record], user: UUID, position: Position) -> list[UUID]:
    """Give each event of a user's whose first record is behind a position."""
    seen: set[UUID] = set()
    found = []
    for each in log:
        if each.value == b"bad":
            continue
        arrival = read_arrival(each)
        if arrival.event_id not in seen:
            seen.add(arrival.event_id)
            if arrival.user_id == user and each.offset > position.offset:
                found.append(arrival.event_id)
    return found


def ids(arrivals: Sequence[Arrival]) -> list[UUID]:
    return [arrival.event_id for arrival in arrivals]


def read(log: Sequence[Record], limits: Limits, since: int = 0) -> Lane:
    feed = Feed(limits)
    feed.begin({0: Extent(0, len(log))}, {0: since})
    for each in log[feed.next_offsets()[0] :]:
        feed.take(each)
    lane = feed.lane(0)
    assert lane is not None
    return lane


def sweep(log: Sequence[Record], searches: Sequence[Search], end: int, limits: Limits) -> Sweep:
    found = Sweep(
        searches, 0, limits.sieve_records, limits.search_bytes_max, limits.found_bytes_max
    )
    for each in log[found.begin : end]:
        if not found.wanted:
            break
        found.take(each)
    found.finish()
    return found


@given(logs(), st.data())
def test_memory_index_and_log_together_give_exactly_what_was_missed(
    log: Sequence[Record], data: st.DataObject
) -> None:
    """However much of it is in memory, and wherever the gateway began to read."""
    events_in_memory = data.draw(st.integers(0, 30), "events in memory")
    limits = replace(
        LIMITS,
        recent_bytes_max=events_in_memory * 900,
        indexed_events_max=data.draw(st.integers(0, 20), "events indexed"),
        indexed_records_max=data.draw(st.integers(5, 60), "records indexed"),
    )
    lane = read(log, limits, data.draw(st.integers(0, len(log)), "since"))
    user = data.draw(st.sampled_from(USERS), "user")
    offset = data.draw(st.integers(-1, len(log) - 1), "offset")
    position = Position(0, -1) if offset < 0 else position_of(log[offset])
    match lane.history.look_up(user, position):
        case Known(offsets):
            missed = [read_arrival(log[each]) for each in offsets]
            last = offsets[-1] if offsets else offset
        case Unread():
            search = Search(user, position)
            sweep(log, [search], lane.history.recent_from, limits)
            assert search.reason is None
            missed, last = search.found, max(search.read_to, offset)
        case Wrong():
            pytest.fail("the position is right")
    recent = lane.history.recent_after(user, last)
    assert recent is not None
    assert ids(missed) + ids(recent) == expected(log, user, position)


@given(logs(), st.data())
def test_searches_done_together_find_what_each_finds_alone(
    log: Sequence[Record], data: st.DataObject
) -> None:
    """In one pass from the oldest position on."""
    offsets = data.draw(st.lists(st.integers(-1, len(log) - 1), min_size=1, max_size=6))
    searches = [
        Search(
            data.draw(st.sampled_from(USERS)),
            Position(0, -1) if offset < 0 else position_of(log[offset]),
        )
        for offset in offsets
    ]
    done = sweep(log, searches, len(log), LIMITS)
    assert not done.left_over
    for search in searches:
        assert search.reason is None
        assert ids(search.found) == expected(log, search.user_id, search.position)


def plain(count: int) -> Sequence[Record]:
    return [record(offset, USERS[0], UUID(int=1_000 + offset)) for offset in range(count)]


def test_another_record_at_the_position_is_told_apart() -> None:
    """A topic that was made anew has the offset, but another event there."""
    log = plain(20)
    stranger = Position(0, 10, b"stranger")
    assert read(log, LIMITS).history.look_up(USERS[0], stranger) == Wrong()
    search = Search(USERS[0], stranger)
    sweep(log, [search], 20, LIMITS)
    assert (search.reason, search.found) == (Reason.UNKNOWN, [])


def test_a_position_that_has_left_the_log_has_expired() -> None:
    """Also the one before all records, if the first of them are gone."""
    for offset in (-1, 3):
        search = Search(USERS[0], Position(0, offset))
        assert not Sweep([search], 4, SIEVE, 1 << 20, 1 << 20).wanted
        assert search.reason is Reason.EXPIRED


def test_a_position_that_the_log_leaves_out_is_unknown() -> None:
    log = [each for each in plain(20) if each.offset != 10]
    search = Search(USERS[0], position_of(plain(20)[10]))
    sweep(log, [search], 20, LIMITS)
    assert search.reason is Reason.UNKNOWN


def test_who_would_need_too_much_loads_afresh_and_the_others_are_served() -> None:
    """Too much read for it, or too much found for it; then it is given nothing at all."""
    log = plain(100)
    size = len(log[0].value or b"")
    far, near = Search(USERS[0], position_of(log[2])), Search(USERS[0], position_of(log[95]))
    limits = replace(LIMITS, search_bytes_max=20 * size)
    first = sweep(log, [far, near], 100, limits)
    assert (far.reason, far.found) == (Reason.TOO_MUCH, [])
    assert first.left_over == (near,)
    assert sweep(log, first.left_over, 100, limits).begin == 95 - SIEVE
    assert len(near.found) == 4
    greedy = Search(USERS[0], position_of(log[0]))
    sweep(log, [greedy], 100, replace(LIMITS, found_bytes_max=10 * size))
    assert (greedy.reason, greedy.found) == (Reason.TOO_MUCH, [])


def test_after_a_wrong_position_nothing_is_read_for_those_far_behind_it() -> None:
    """They are left to a pass of their own."""
    log = plain(100)
    wrong, far = (
        Search(USERS[0], Position(0, 5, b"stranger")),
        Search(USERS[0], position_of(log[90])),
    )
    done = sweep(log, [wrong, far], 100, LIMITS)
    assert (wrong.reason, done.left_over, done.bytes_read) == (Reason.UNKNOWN, (far,), 0)


def test_memory_is_bounded_and_the_oldest_is_forgotten_first() -> None:
    """Bytes of events, offsets of events, tails of records: each has its limit."""
    log = plain(50)
    limits = replace(LIMITS, recent_bytes_max=10_000, indexed_events_max=20, indexed_records_max=45)
    history = read(log, limits).history
    recent = history.recent_after(USERS[0], history.recent_from - 1)
    assert recent is not None
    assert 5 < len(recent) <= 11
    assert history.recent_after(USERS[0], history.recent_from - 2) is None
    known = history.look_up(USERS[0], position_of(log[history.recent_from - 21]))
    assert isinstance(known, Known)
    assert len(known.offsets) == 20
    assert history.look_up(USERS[0], position_of(log[history.recent_from - 22])) == Unread()


def test_offsets_that_are_near_are_read_together() -> None:
    assert clusters([], 10) == []
    assert clusters([1, 5, 15, 26, 100], 10) == [[1, 5, 15], [26], [100]]


def test_events_that_many_want_are_read_once_for_all() -> None:
    """Each has what it wants, in order, as soon as its last was read."""
    log = plain(100)
    first, second, third = Lookup([3, 4]), Lookup([4, 60]), Lookup([90])
    together = Pass([first, second, third], near=10, groups_max=2)
    assert together.groups == [[3, 4], [60, 90]]
    complete = {
        offset: together.take(log[offset])
        for group in together.groups
        for offset in range(group[0], group[-1] + 1)
    }
    assert {at: done for at, done in complete.items() if done} == {
        4: [first],
        60: [second],
        90: [third],
    }
    assert [arrival.position.offset for arrival in second.found] == [4, 60]
