"""The protocol of one connection, without sockets."""

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.limits import Limits
from gateway.moment import Moment
from gateway.protocol import PONG, End, Entry, Renew, Send, SendPing, Session, Welcome
from schemas.frames import Close
from schemas.tokens import LIFETIME, TokenKey

KEY = TokenKey("k" * 32)
OTHER_KEY = TokenKey("o" * 32)
START = Moment(datetime(2027, 1, 1, tzinfo=UTC), 1_000.0)
LIMITS = Limits()
USER = UUID("018f0000-0000-7000-8000-000000000001")


def later(seconds: float) -> Moment:
    return Moment(START.at + timedelta(seconds=seconds), START.ticks_s + seconds)


def token(user_id: UUID = USER, at: Moment = START, key: TokenKey = KEY) -> str:
    return key.issue(user_id, uuid4(), at.at)


def auth(text: str, **more: str) -> str:
    return json.dumps({"type": "auth", "token": text, **more})


def asked() -> Session:
    """A session that has not said who it is."""
    session = Session(KEY, LIMITS, START)
    assert session.enter(Entry()) == ()
    return session


def known(at: Moment = START) -> Session:
    session = Session(KEY, LIMITS, START)
    session.enter(Entry(claims=KEY.check(token(at=at), at.at)))
    return session


def test_claims_of_the_handshake_are_welcomed_at_once() -> None:
    claims = KEY.check(token(), START.at)
    session = Session(KEY, LIMITS, START)
    assert session.enter(Entry(claims=claims, position="p")) == (Welcome(claims, "p"),)


def test_a_refusal_of_the_handshake_is_the_close_code() -> None:
    session = Session(KEY, LIMITS, START)
    assert session.enter(Entry(refusal=Close.UNAUTHENTICATED)) == (End(Close.UNAUTHENTICATED),)


def test_a_first_frame_with_a_good_token_is_welcomed_and_its_position_goes_first() -> None:
    session = Session(KEY, LIMITS, START)
    session.enter(Entry(position="of the query"))
    (action,) = session.receive(auth(token(), position="of the frame"), later(9))
    assert isinstance(action, Welcome)
    assert (action.claims.sub, action.position) == (USER, "of the frame")


@pytest.mark.parametrize(
    ("shown", "close"),
    [
        ("rubbish", Close.UNAUTHENTICATED),
        (token(key=OTHER_KEY), Close.UNAUTHENTICATED),
        (token(at=later(-LIFETIME.total_seconds() - 60)), Close.TOKEN_EXPIRED),
    ],
)
def test_a_bad_token_ends_it_and_one_that_was_good_may_come_back(shown: str, close: Close) -> None:
    assert asked().receive(auth(shown), START) == (End(close),)
    assert known().receive(auth(shown), START) == (End(close),)


def test_a_ping_before_the_token_is_unauthenticated() -> None:
    assert asked().receive('{"type":"ping"}', START) == (End(Close.UNAUTHENTICATED),)


def test_a_ping_is_answered_with_a_pong() -> None:
    assert known().receive('{"type":"ping"}', START) == (Send(PONG),)
    assert json.loads(PONG) == {"type": "pong"}


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"ping"}',
        "",
        "ping",
        "[]",
        "null",
        "{}",
        '{"type":"subscribe"}',
        '{"type":"ping","more":1}',
        '{"type":"ping","type":"ping"}',
        '{"type":"auth"}',
        '{"type":"auth","token":7}',
        '{"type":"auth","token":""}',
        '{"type":"auth","token":"a","position":7}',
        "[" * 5_000,
        '{"type":' + "9" * 5_000 + "}",
    ],
)
def test_what_is_no_frame_of_the_protocol_ends_it(frame: str | bytes) -> None:
    assert known().receive(frame, START) == (End(Close.BAD_FRAME),)
    assert asked().receive(frame, START) == (End(Close.BAD_FRAME),)


def test_a_fresh_token_moves_the_end() -> None:
    session = known()
    (action,) = session.receive(auth(token(at=later(600))), later(600))
    assert isinstance(action, Renew)
    assert action.claims == session.claims
    session.hear(later(905))
    assert session.tick(later(905)) == (SendPing(),)
    session.hear(later(1_500))
    assert session.tick(later(1_505)) == (End(Close.TOKEN_EXPIRED),)


def test_another_users_token_ends_it() -> None:
    assert known().receive(auth(token(uuid4())), START) == (End(Close.UNAUTHENTICATED),)


def test_a_token_ends_after_its_leeway_and_not_before() -> None:
    session = known()
    session.hear(later(900))
    assert End(Close.TOKEN_EXPIRED) not in session.tick(later(904.9))
    assert session.tick(later(905)) == (End(Close.TOKEN_EXPIRED),)


def test_without_a_token_it_ends_after_ten_seconds() -> None:
    session = asked()
    assert session.tick(later(9.9)) == ()
    assert session.tick(later(10)) == (End(Close.AUTH_TIMEOUT),)


def test_it_pings_every_25_seconds_and_ends_after_60_of_silence() -> None:
    session = known()
    assert session.tick(later(24.9)) == ()
    assert session.tick(later(25)) == (SendPing(),)
    assert session.tick(later(26)) == ()
    assert session.tick(later(50)) == (SendPing(),)
    assert session.tick(later(60)) == (End(Close.HEARTBEAT_TIMEOUT),)


def test_any_frame_breaks_the_silence() -> None:
    session = known()
    session.hear(later(55))
    assert session.tick(later(60)) == (SendPing(),)
    assert session.tick(later(115)) == (End(Close.HEARTBEAT_TIMEOUT),)


def test_a_clock_set_back_does_not_keep_an_expired_token_alive_for_more_than_a_heartbeat() -> None:
    """The timer is asked again at each ping, so a jump of the calendar's clock is noticed."""
    session = known()
    assert session.wait_s(START) <= LIMITS.heartbeat_s


def test_a_burst_is_allowed_and_a_flood_is_not() -> None:
    session = known()
    for _ in range(LIMITS.frames_burst):
        assert session.hear(START) == ()
    assert session.hear(START) == (End(Close.RATE_LIMITED),)


def test_twenty_frames_a_second_may_go_on_for_ever() -> None:
    session = known()
    assert all(session.hear(later(n / 20)) == () for n in range(5_000))


frames = st.one_of(
    st.text(max_size=50),
    st.binary(max_size=20),
    st.sampled_from(['{"type":"ping"}', '{"type":"auth"}', auth(token()), auth(token(uuid4()))]),
)
steps = st.lists(
    st.tuples(
        st.floats(0, 40),
        st.one_of(st.just("hear"), st.just("tick"), frames.map(lambda frame: (frame,))),
    ),
    max_size=40,
)


@given(steps=steps, shown=st.booleans())
def test_whatever_comes_it_welcomes_once_ends_once_and_is_silent_after(
    steps: list[tuple[float, str | tuple[str | bytes]]], *, shown: bool
) -> None:
    session = Session(KEY, LIMITS, START)
    claims = KEY.check(token(), START.at) if shown else None
    actions = list(session.enter(Entry(claims=claims)))
    seconds = 0.0
    for pause, step in steps:
        seconds += pause
        now = later(seconds)
        match step:
            case "hear":
                made = session.hear(now)
            case (frame,):
                made = session.receive(frame, now)
            case _:
                made = session.tick(now)
        assert not (made and any(isinstance(action, End) for action in actions))
        actions += made
    assert sum(isinstance(action, Welcome) for action in actions) <= 1
    assert sum(isinstance(action, End) for action in actions) <= 1
    known_at_all = any(isinstance(action, Welcome) for action in actions)
    assert known_at_all or not any(isinstance(action, Send) for action in actions)


@given(pauses=st.lists(st.floats(0, 30), max_size=60), shown=st.booleans())
def test_ticks_at_the_times_it_asks_for_are_never_idle(pauses: list[float], *, shown: bool) -> None:
    """`wait_s` is neither early nor late: just before it nothing is due, at it something is."""
    session = known() if shown else asked()
    seconds = 0.0
    for pause in pauses:
        wait = session.wait_s(later(seconds))
        if pause < wait:
            seconds += pause
            if pause < wait - 0.001:
                assert session.tick(later(seconds)) == ()
            session.hear(later(seconds))
        else:
            seconds += wait + 0.000_001
            assert session.tick(later(seconds))
        if session.ended:
            return
