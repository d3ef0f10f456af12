"""What follows an attempt: tried again for a day, with jitter, and then given up."""

from datetime import timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from streams.domain.deliveries import (
    JITTER,
    OFF_AFTER,
    RETRY_AFTER_MAX,
    WAITS,
    Failed,
    Sent,
    Verdict,
    delivery_id,
    judge,
)

ERROR = Failed("the receiver answered 500", 500)
dice = st.floats(0, 1)


def test_the_waits_are_about_a_day_together() -> None:
    assert timedelta(hours=23) < sum(WAITS, timedelta()) < timedelta(hours=24)
    assert list(WAITS) == sorted(WAITS)


def test_what_arrived_is_done_whatever_was_before() -> None:
    assert judge(Sent(200), 7, OFF_AFTER, 0.5) == Verdict("sent")


@given(st.integers(1, len(WAITS)), dice)
def test_a_failure_waits_as_long_as_the_schedule_says_give_or_take_a_fifth(
    attempts: int, rolled: float
) -> None:
    verdict = judge(ERROR, attempts, None, rolled)
    assert verdict.state == "waiting"
    shift = verdict.wait / WAITS[attempts - 1]
    assert 1 - JITTER - 1e-6 <= shift <= 1 + JITTER + 1e-6


@given(st.integers(len(WAITS) + 1, 1_000), dice)
def test_after_the_last_wait_it_is_given_up(attempts: int, rolled: float) -> None:
    assert judge(ERROR, attempts, timedelta(hours=24), rolled) == Verdict("failed")


@given(st.timedeltas(timedelta(), timedelta(days=1_000)), dice)
def test_a_receiver_that_asks_for_a_pause_is_not_asked_sooner_and_not_never(
    wished: timedelta, rolled: float
) -> None:
    verdict = judge(Failed("429", 429, retry_after=wished), 1, None, rolled)
    assert verdict.state == "waiting"
    assert min(wished, RETRY_AFTER_MAX) <= verdict.wait <= max(RETRY_AFTER_MAX, WAITS[0] * 1.2)


def test_what_would_fail_every_time_is_not_tried_again() -> None:
    assert judge(Failed("refused", final=True), 1, None, 0.5) == Verdict("failed")


def test_a_channel_is_switched_off_when_it_is_gone_or_dead_for_days() -> None:
    off = Verdict("failed", switch_off=True)
    assert judge(Failed("410", 410, gone=True), 1, None, 0.5) == off
    assert judge(ERROR, 1, OFF_AFTER, 0.5) == off
    assert not judge(ERROR, 1, OFF_AFTER - timedelta(seconds=1), 0.5).switch_off


def test_an_event_and_a_channel_make_one_id() -> None:
    one, two = UUID(int=1), UUID(int=2)
    assert delivery_id(one, two) == delivery_id(one, two)
    assert len({delivery_id(one, two), delivery_id(two, one), delivery_id(one, one)}) == 3
