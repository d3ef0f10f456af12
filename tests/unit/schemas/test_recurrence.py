"""The rule's text: the stated subset of RFC 5545, and nothing else."""

from contextlib import suppress
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.recurrence import ByDay, RuleParts, parse_rule
from schemas.tasks import TaskFields


def test_a_rule_of_all_parts_is_read() -> None:
    text = (
        "BYDAY=MO,-1FR,+2SU;BYMONTHDAY=1,-31;BYMONTH=1,12;BYSETPOS=-1,366;WKST=SU;COUNT=1000;"
        "EXDATE=20270131,20280229"
    )
    assert parse_rule(text) == RuleParts(
        by_day=(ByDay(0), ByDay(4, -1), ByDay(6, 2)),
        by_month_day=(1, -31),
        by_month=(1, 12),
        by_set_pos=(-1, 366),
        week_start=6,
        count=1000,
        except_on=(date(2027, 1, 31), date(2028, 2, 29)),
    )
    assert parse_rule("UNTIL=20270131").until == date(2027, 1, 31)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FREQ=DAILY", "FREQ does not belong here: set recurrence_pattern"),
        ("BYDAY=MO;INTERVAL=2", "INTERVAL does not belong here: set recurrence_interval"),
        ("BYHOUR=9", "BYHOUR is not known"),
        ("BYWEEKNO=1", "BYWEEKNO is not known"),
        ("byday=MO", "byday is not known"),
        ("RRULE:BYDAY=MO", "RRULE:BYDAY is not known"),
        ("BYDAY=MO;", "a part is not known"),
        (" BYDAY=MO", "a part is not known"),
        ("<script>=1", "a part is not known"),
        ("BYDAY", "BYDAY must have a value"),
        ("BYDAY=", "BYDAY must be of weekdays"),
        ("BYDAY=XX", "BYDAY must be of weekdays"),
        ("BYDAY=0MO", "BYDAY must be of weekdays"),
        ("BYDAY=54MO", "BYDAY must be of weekdays"),
        ("BYMONTHDAY=32", "BYMONTHDAY must be of numbers from 1 to 31, or -31 to -1"),
        ("BYMONTHDAY=0", "BYMONTHDAY must"),
        ("BYMONTH=-1", "BYMONTH must be of numbers from 1 to 12"),
        ("BYMONTH=1,", "BYMONTH must"),
        ("BYSETPOS=1", "BYSETPOS must have another BY part"),
        ("BYDAY=MO;BYSETPOS=367", "BYSETPOS must"),
        ("WKST=M", "WKST must be one of MO"),
        ("COUNT=0", "COUNT must be of numbers from 1 to 1000"),
        ("COUNT=1001", "COUNT must"),
        ("COUNT=\u0661", "COUNT must"),
        ("COUNT=3;COUNT=3", "COUNT must be given once"),
        ("COUNT=3;UNTIL=20270101", "COUNT and UNTIL must not be given both"),
        ("UNTIL=20270229", "UNTIL must be of days that there are"),
        ("UNTIL=20270101T000000Z", "UNTIL must be of days, as in 20270131"),
        ("EXDATE=2027-01-01", "EXDATE must be of days"),
    ],
)
def test_what_is_not_in_the_subset_is_refused_by_name(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"must|not") as caught:
        parse_rule(text)
    assert str(caught.value).startswith(message)
    with pytest.raises(ValidationError) as refused:
        TaskFields.model_validate({"title": "x", "recurrence_rule": text})
    assert [error["loc"] for error in refused.value.errors()] == [("recurrence_rule",)]


@given(st.text(alphabet=st.sampled_from("BYDAMOTUCNEX=;,-+0123 é\0"), max_size=40) | st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ValueError):
        assert isinstance(parse_rule(text), RuleParts)


def test_a_rule_of_more_than_500_characters_is_refused() -> None:
    days = ",".join(["20270131"] * 60)
    with pytest.raises(ValidationError, match="500"):
        TaskFields.model_validate({"title": "x", "recurrence_rule": f"EXDATE={days}"})
