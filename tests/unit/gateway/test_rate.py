"""The token bucket and the quota."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.admission import Quota
from gateway.rate import Bucket


@given(st.lists(st.floats(0, 2), max_size=300))
def test_never_more_than_the_burst_and_the_rate_together(pauses: list[float]) -> None:
    bucket = Bucket(size=5, per_s=10, filled_s=0)
    now, taken = 0.0, 0
    for pause in pauses:
        now += pause
        taken += bucket.take(now)
        assert taken <= 5 + 10 * now + 1e-6


def test_a_long_rest_gives_no_more_than_one_burst() -> None:
    bucket = Bucket(size=5, per_s=10, filled_s=0)
    assert sum(bucket.take(1_000) for _ in range(20)) == 5


def test_a_clock_that_goes_back_gains_nothing_and_loses_nothing() -> None:
    bucket = Bucket(size=1, per_s=1, filled_s=100)
    assert bucket.take(100)
    assert not bucket.take(50)
    assert not bucket.take(100.5)
    assert bucket.take(101)


def test_each_holder_has_its_own_quota_and_gets_back_what_it_releases() -> None:
    quota = Quota(per_holder=2)
    assert quota.take("a")
    assert quota.take("a")
    assert not quota.take("a")
    assert quota.take("b")
    quota.release("a")
    assert quota.take("a")


def test_who_holds_nothing_takes_no_memory() -> None:
    quota = Quota(per_holder=2)
    for number in range(100):
        quota.take(number)
        quota.release(number)
    assert not quota._held
