"""Instants and days: RFC 3339 and nothing looser, in UTC once they are read."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.times import DAY_MAX, DAY_MIN, Day, Instant

INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
DAY: TypeAdapter[date] = TypeAdapter(Day)
OFFSETS = st.integers(-23 * 60, 23 * 60).map(lambda m: timezone(timedelta(minutes=m)))
# Hypothesis wants naive bounds, and puts the zones in itself.
INSTANTS = st.datetimes(
    datetime(1900, 1, 2),  # noqa: DTZ001
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=OFFSETS,
)


@given(INSTANTS)
def test_an_instant_is_the_same_one_in_utc_whatever_its_offset(instant: datetime) -> None:
    read = INSTANT.validate_python(instant.isoformat())
    assert read == instant
    assert read.tzinfo is UTC


@given(INSTANTS)
def test_an_instant_is_written_with_a_z_and_read_again(instant: datetime) -> None:
    text = INSTANT.dump_json(INSTANT.validate_python(instant.isoformat())).decode().strip('"')
    assert text.endswith("Z")
    assert INSTANT.validate_python(text) == instant


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2027-01-31T08:00:00Z", 0),
        ("2027-01-31t08:00:00z", 0),
        ("2027-01-31T08:00:00.5Z", 0.5),
        ("2027-01-31T08:00:00.123456789Z", 0.123456),
        ("2027-01-31T08:00:00-00:00", 0),
        ("2027-02-01T07:59:00+23:59", 0),
    ],
)
def test_every_form_of_rfc_3339_is_read(text: str, second: float) -> None:
    eight = datetime(2027, 1, 31, 8, tzinfo=UTC)
    assert INSTANT.validate_python(text) == eight + timedelta(seconds=second)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2027-01-31",
        "2027-01-31T08:00Z",
        "2027-01-31T08:00:00",
        "2027-01-31 08:00:00Z",
        "2027-01-31T08:00:00.Z",
        "2027-01-31T08:00:00+01",
        "2027-01-31T08:00:00+0100",
        "2027-01-31T08:00:00+24:00",
        "2027-01-31T24:00:00Z",
        "2027-02-29T08:00:00Z",
        "2027-13-01T08:00:00Z",
        "2027-01-31T08:00:00Z\n",
        "\uff12027-01-31T08:00:00Z",
        "1899-12-31T23:59:59Z",
        "1900-01-01T00:00:00+00:01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "1798761600",
        1798761600,
        True,
        None,
        datetime(2027, 1, 31, 8),  # noqa: DTZ001 - without a zone it is no instant
    ],
)
def test_what_is_no_instant_of_the_years_1900_to_9999_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        INSTANT.validate_python(value)


@given(st.dates(DAY_MIN, DAY_MAX))
def test_a_day_is_read_and_written_as_one(day: date) -> None:
    assert DAY.validate_python(day.isoformat()) == DAY.validate_python(day) == day
    assert DAY.dump_json(day).decode() == f'"{day.isoformat()}"'


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2027-1-31",
        "2027-02-29",
        "20270131",
        "2027-01-31T00:00:00Z",
        "2027-W05-7",
        "2027-01-31\n",
        "\uff12027-01-31",
        "0000-01-01",
        "1899-12-31",
        "10000-01-01",
        1798761600,
        None,
        datetime(2027, 1, 31, tzinfo=UTC),
    ],
)
def test_what_is_no_day_of_the_years_1900_to_9999_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        DAY.validate_python(value)


def test_a_day_outside_of_the_limits_is_refused_in_the_words_of_a_client() -> None:
    with pytest.raises(ValidationError) as caught:
        DAY.validate_python("1899-12-31")
    (error,) = caught.value.errors()
    assert error["type"] == "greater_than_equal"
    assert error["msg"].endswith("1900-01-01")
