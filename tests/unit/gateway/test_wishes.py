"""What a client asks for: types, a position, and to go on as whom. Without sockets."""

import json
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import Limits
from gateway.moment import Moment
from gateway.protocol import End, Entry, Session, Welcome
from schemas.frames import TYPE_FILTER, TYPES_MAX, Close
from schemas.tokens import TokenKey

KEY = TokenKey("k" * 32)
NOW = Moment(datetime(2027, 1, 1, tzinfo=UTC), 1_000.0)
USER = UUID("018f0000-0000-7000-8000-000000000003")

segments = st.lists(st.sampled_from(["task", "tag", "task_", "updated", "deleted"]), max_size=3)
types = segments.map(lambda names: ".".join(["taskflow", *names]))
patterns = st.one_of(types, types.map(lambda name: f"{name}.*"))
positions = st.one_of(st.none(), st.text(max_size=96))


def opened(position: str | None = None, types: tuple[str, ...] = ()) -> Session:
    session = Session(KEY, Limits(), NOW)
    assert session.enter(Entry(position=position, types=types)) == ()
    return session


def auth(user_id: UUID = USER, /, **more: object) -> str:
    shown = KEY.issue(user_id, uuid4(), NOW.at)
    return json.dumps({"type": "auth", "token": shown, **more})


@given(asked=st.lists(patterns, max_size=5), event_type=types)
def test_a_filter_wants_a_name_or_all_below_it_and_no_filter_wants_all(
    asked: list[str], event_type: str
) -> None:
    """`a.b.*` is what has more segments than `a.b`, and begins with them."""

    def below(name: str) -> bool:
        parts, all_parts = name.split("."), event_type.split(".")
        return len(all_parts) > len(parts) and all_parts[: len(parts)] == parts

    wanted = any(
        below(name.removesuffix(".*")) if name.endswith(".*") else name == event_type
        for name in TYPE_FILTER.validate_python(asked)
    )
    assert opened(types=tuple(asked)).wants(event_type) == (wanted or not asked)


@given(
    positions=st.tuples(positions, positions),
    filters=st.tuples(st.lists(patterns, max_size=3), st.lists(patterns, max_size=3)),
)
def test_what_the_first_frame_asks_for_goes_before_what_the_query_asked(
    positions: tuple[str | None, str | None], filters: tuple[list[str], list[str]]
) -> None:
    """For position and types each by itself, and an empty one is none."""
    session = opened(position=positions[0], types=tuple(filters[0]))
    text = auth(position=positions[1], types=filters[1])
    if "\\u0000" in text:
        assert session.receive(text, NOW) == (End(Close.BAD_FRAME),)
        return
    (action,) = session.receive(text, NOW)
    assert isinstance(action, Welcome)
    assert action.position == (positions[1] or positions[0])
    assert session.types == tuple(filters[1] or filters[0])


@given(again=st.lists(st.tuples(positions, st.lists(patterns, max_size=3)), max_size=5))
def test_a_fresh_token_changes_neither_position_nor_types_and_is_not_welcomed_again(
    again: list[tuple[str | None, list[str]]],
) -> None:
    session = opened(types=("taskflow.task.*",))
    session.receive(auth(position="p"), NOW)
    for position, filtered in again:
        before = session.claims
        actions = session.receive(auth(position=position, types=filtered), NOW)
        if session.ended:
            assert actions == (End(Close.BAD_FRAME),)
            return
        assert not any(isinstance(action, Welcome | End) for action in actions)
        assert session.types == ("taskflow.task.*",)
        assert session.claims != before


def test_another_users_token_ends_it_and_leaves_it_the_first_users() -> None:
    session = opened()
    session.receive(auth(), NOW)
    assert session.receive(auth(uuid4()), NOW) == (End(Close.UNAUTHENTICATED),)
    assert session.claims
    assert session.claims.sub == USER


@pytest.mark.parametrize(
    "asked",
    [
        {"types": "taskflow.task.*"},
        {"types": ["*"]},
        {"types": ["taskflow.*.*"]},
        {"types": ["taskflow.task."]},
        {"types": ["taskflow.task.*\n"]},
        {"types": ["other.task"]},
        {"types": [None]},
        {"types": ["taskflow.task.*"] * (TYPES_MAX + 1)},
        {"position": "x" * 97},
        {"position": 1},
        {"user_id": str(USER)},
    ],
)
def test_a_wish_that_is_malformed_ends_it(asked: dict[str, object]) -> None:
    assert opened().receive(auth(**asked), NOW) == (End(Close.BAD_FRAME),)
