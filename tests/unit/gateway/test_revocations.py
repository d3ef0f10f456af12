"""What is revoked, for how long it is remembered, and how much of it at most."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.arrivals import Arrival
from gateway.revocations import Revocation, Revocations, revocation_of
from schemas.events import SESSION_REVOKED, USER_DELETED
from schemas.positions import Position
from schemas.tokens import LEEWAY, LIFETIME, Claims, TokenKey

NOW = datetime(2027, 1, 1, tzinfo=UTC)
KEY = TokenKey("k" * 32)
USER, SESSION = (
    UUID("d0279036-5305-47a2-943a-d859ba8d4d3a"),
    UUID("91007c48-2f9e-4ff4-a8ad-1374771956b5"),
)


def claims(user: UUID = USER, session: UUID = SESSION, now: datetime = NOW) -> Claims:
    return KEY.check(KEY.issue(user, session, now), now)


def arrival(type_: str, subject: str) -> Arrival:
    return Arrival(Position(0, 0), USER, uuid4(), type_, subject, None, b"{}")


@pytest.mark.parametrize(
    ("type_", "subject", "revoked"),
    [
        (SESSION_REVOKED, str(SESSION), Revocation(USER, SESSION)),
        (SESSION_REVOKED, str(SESSION).upper(), None),
        (SESSION_REVOKED, "rubbish", None),
        (USER_DELETED, str(USER), Revocation(USER, None)),
        ("taskflow.task.deleted", str(SESSION), None),
        ("taskflow.session.revoked.not", str(SESSION), None),
    ],
)
def test_two_types_revoke_and_no_other(type_: str, subject: str, revoked: object) -> None:
    assert revocation_of(arrival(type_, subject)) == revoked


def test_a_session_is_revoked_for_its_own_user_and_no_other() -> None:
    revocations = Revocations(10)
    revocations.note(Revocation(USER, SESSION), NOW)
    assert revocations.cover(claims(), NOW)
    assert not revocations.cover(claims(session=uuid4()), NOW)
    assert not revocations.cover(claims(user=uuid4()), NOW)


def test_a_deleted_user_has_no_session_left() -> None:
    revocations = Revocations(10)
    revocations.note(Revocation(USER, None), NOW)
    assert revocations.cover(claims(session=uuid4()), NOW)
    assert not revocations.cover(claims(user=uuid4()), NOW)


def test_it_is_remembered_for_as_long_as_any_token_made_before_it_is_good() -> None:
    """A token of the last second before, made by a clock that is ahead as far as is allowed."""
    revocations = Revocations(10)
    revocations.note(Revocation(USER, SESSION), NOW)
    last = NOW + LIFETIME + 2 * LEEWAY - timedelta(microseconds=1)
    assert revocations.cover(claims(), last)
    assert not revocations.cover(claims(), last + timedelta(microseconds=1))
    assert not revocations._until


def test_one_that_is_told_again_is_remembered_once_and_for_longer() -> None:
    revocations = Revocations(10)
    again = NOW + LIFETIME
    for now in (NOW, again):
        revocations.note(Revocation(USER, SESSION), now)
        revocations.note(Revocation(USER, uuid4()), NOW)
    assert len(revocations._until) == 3
    assert revocations.cover(claims(), again + LIFETIME)


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0, 500)), max_size=60))
def test_no_more_are_held_than_the_limit_and_the_latest_are(told: list[tuple[int, float]]) -> None:
    revocations, now = Revocations(5), NOW
    latest: dict[int, datetime] = {}
    for number, pause in told:
        now += timedelta(seconds=pause)
        revocations.note(Revocation(USER, UUID(int=number)), now)
        latest.pop(number, None)
        latest[number] = now
        assert len(revocations._until) <= 5
    for number in list(latest)[-5:]:
        live = now < latest[number] + LIFETIME + 2 * LEEWAY
        assert revocations.cover(claims(session=UUID(int=number)), now) == live
