"""What comes next in a series: by mode, by what was missed, and as a preview tells it."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.bodies import TaskPatch
from schemas.tasks import RecurrenceCatchUp, RecurrenceMode, RecurrencePattern, Task, TaskFields
from streams.domain import skipping, tasks
from streams.domain.series import next_day
from streams.domain.succession import Verdict, reconcile, successor_id
from streams.domain.tasks import RuleError
from streams.domain.zones import Distance, zone_named
from tests.unit.domain.writing import NOW, new_task, written

UTC_ZONE = zone_named("UTC")
RECURRING = [pattern for pattern in RecurrencePattern if pattern is not RecurrencePattern.NONE]
DAYS = st.dates(date(2020, 1, 1), date(2035, 1, 1))


def day(text: str) -> date:
    return date.fromisoformat(text)


def recurring(**fields: Any) -> Task:
    return new_task(**{"recurrence_pattern": "weekly", "due_date": "2027-01-04"} | fields)


@pytest.mark.parametrize(
    ("fields", "done", "expected"),
    [
        ({}, "2027-01-04", "2027-01-11"),
        ({}, "2027-01-01", "2027-01-11"),
        ({}, "2027-01-11", "2027-01-11"),
        ({}, "2027-01-12", "2027-01-18"),
        ({}, "2027-02-02", "2027-02-08"),
        ({"recurrence_catch_up": "one"}, "2027-02-02", "2027-02-01"),
        ({"recurrence_catch_up": "one"}, "2027-02-01", "2027-01-25"),
        ({"recurrence_catch_up": "one"}, "2027-01-08", "2027-01-11"),
        ({"recurrence_catch_up": "all"}, "2027-02-02", "2027-01-11"),
        ({"recurrence_mode": "completion"}, "2027-02-02", "2027-02-09"),
        ({"recurrence_mode": "completion"}, "2027-01-01", "2027-01-08"),
        ({"due_date": None}, "2027-02-02", "2027-02-09"),
        ({"recurrence_rule": "COUNT=1"}, "2027-01-04", None),
        ({"recurrence_rule": "COUNT=1", "due_date": None}, "2027-01-04", None),
        ({"recurrence_rule": "COUNT=3"}, "2027-01-20", None),
        ({"recurrence_rule": "UNTIL=20270110"}, "2027-01-04", None),
        ({"recurrence_rule": "EXDATE=20270111"}, "2027-01-04", "2027-01-18"),
        ({"recurrence_pattern": "none"}, "2027-01-04", None),
    ],
)
def test_the_next_day_is_that_of_the_mode_and_the_policy(
    fields: dict[str, Any], done: str, expected: str | None
) -> None:
    found = next_day(recurring(**fields), day(done))
    assert found == (day(expected) if expected else None)


@settings(deadline=None)
@given(
    st.sampled_from(RECURRING),
    st.sampled_from(RecurrenceMode),
    st.sampled_from(RecurrenceCatchUp),
    st.integers(1, 60),
    DAYS,
    DAYS,
)
def test_the_next_day_is_never_the_day_before_it_and_never_past_by_surprise(
    pattern: RecurrencePattern,
    mode: RecurrenceMode,
    catch_up: RecurrenceCatchUp,
    interval: int,
    due_on: date,
    done_on: date,
) -> None:
    task = recurring(
        recurrence_pattern=pattern,
        recurrence_mode=mode,
        recurrence_catch_up=catch_up,
        recurrence_interval=interval,
        due_date=due_on,
    )
    found = next_day(task, done_on)
    assert found is not None
    counts_from = done_on if mode is RecurrenceMode.COMPLETION else due_on
    assert found > counts_from
    if catch_up is RecurrenceCatchUp.NONE or mode is RecurrenceMode.COMPLETION:
        assert found >= done_on


class TestAnchor:
    """A series counts from the due day with which it began, or was last moved."""

    def test_it_is_the_due_day_of_the_first_and_goes_with_what_lets_it_count_anew(self) -> None:
        task = recurring()
        assert task.recurrence_anchor == day("2027-01-04")
        for fields, anchor in (
            ({"title": "x"}, "2027-01-04"),
            ({"recurrence_catch_up": "all"}, "2027-01-04"),
            ({"due_date": "2027-01-06"}, "2027-01-06"),
            ({"due_date": None}, None),
        ):
            change = tasks.patch(task, TaskPatch.model_validate(fields), NOW)
            assert change
            assert change.draft.recurrence_anchor == (day(anchor) if anchor else None)
        late = task.model_copy(update={"due_date": day("2027-01-11")})
        for other in ({"recurrence_interval": 2}, {"recurrence_rule": "BYDAY=MO"}):
            change = tasks.patch(late, TaskPatch.model_validate(other), NOW)
            assert change
            assert change.draft.recurrence_anchor == day("2027-01-11")

    def test_a_task_that_does_not_recur_has_none(self) -> None:
        assert new_task(due_date="2027-01-04").recurrence_anchor is None


class TestRule:
    """A rule goes with its pattern."""

    @pytest.mark.parametrize(
        ("pattern", "text"),
        [
            ("none", "COUNT=3"),
            ("weekly", "BYMONTHDAY=1"),
            ("weekly", "BYDAY=1MO"),
            ("daily", "BYDAY=-1MO"),
        ],
    )
    def test_one_that_does_not_is_refused_by_every_write(self, pattern: str, text: str) -> None:
        bad = {"recurrence_pattern": pattern, "recurrence_rule": text}
        with pytest.raises(RuleError) as caught:
            tasks.create(TaskFields.model_validate({"title": "x"} | bad), NOW)
        assert (caught.value.field, caught.value.rule) == ("recurrence_rule", "fits_pattern")
        with pytest.raises(RuleError):
            tasks.patch(recurring(), TaskPatch.model_validate(bad), NOW)

    def test_turning_recurrence_off_takes_the_rule_with_it(self) -> None:
        task = recurring(recurrence_rule="BYDAY=MO")
        change = tasks.patch(task, TaskPatch.model_validate({"recurrence_pattern": "none"}), NOW)
        assert change
        assert change.draft.fields.recurrence_rule is None
        assert change == tasks.end_series(task, NOW)
        assert tasks.end_series(written(task, change), NOW) is None


class TestSkipping:
    """Skipping moves a task to its next day; a preview tells which those are."""

    def test_skip_is_one_update_of_day_number_and_reminder(self) -> None:
        task = recurring(remind_at="2027-01-03T09:00:00Z")
        change = skipping.skip(task, day("2027-01-01"), UTC_ZONE)
        assert change
        moved = written(task, change)
        assert (moved.due_date, moved.occurrence) == (day("2027-01-11"), 2)
        assert moved.remind_at == datetime(2027, 1, 10, 9, tzinfo=UTC)
        assert (moved.recurrence_anchor, moved.next_occurrence) == (
            task.recurrence_anchor,
            day("2027-01-18"),
        )
        assert change.changed == ("due_date", "next_occurrence", "occurrence", "remind_at")

    def test_what_is_over_or_does_not_recur_cannot_be_skipped(self) -> None:
        done = written(recurring(), tasks.complete(recurring(), NOW))
        for task in (done, new_task(), recurring(recurrence_rule="COUNT=1")):
            with pytest.raises(skipping.NothingToSkipError):
                skipping.skip(task, day("2027-01-01"), UTC_ZONE)

    @settings(deadline=None)
    @given(
        st.sampled_from(RECURRING),
        st.sampled_from(RecurrenceMode),
        st.sampled_from(RecurrenceCatchUp),
        DAYS,
    )
    def test_a_preview_is_what_doing_each_on_its_day_gives(
        self,
        pattern: RecurrencePattern,
        mode: RecurrenceMode,
        catch_up: RecurrenceCatchUp,
        due_on: date,
    ) -> None:
        task = recurring(
            recurrence_pattern=pattern,
            recurrence_mode=mode,
            recurrence_catch_up=catch_up,
            due_date=due_on,
        )
        begin = datetime.combine(date(2020, 1, 1), time(), UTC)
        told = list(skipping.preview(task, begin, UTC_ZONE, 6))
        assert [number for number, _, _ in told] == [2, 3, 4, 5, 6, 7]
        for number, due, _ in told:
            assert task.due_date is not None
            done_at = datetime.combine(task.due_date, time(12), UTC)
            completed = written(task, tasks.complete(task, done_at))
            (step,) = reconcile(completed, None, {}, UTC_ZONE, done_at)
            assert step.verdict is Verdict.MADE
            assert step.change is not None
            assert task.series_id is not None
            assert step.successor_id == successor_id(task.series_id, number)
            draft = step.change.draft
            assert draft.fields.due_date == due
            task = task.model_copy(
                update={
                    "due_date": due,
                    "recurrence_anchor": draft.recurrence_anchor,
                    "occurrence": number,
                }
            )


def test_a_reminder_at_a_time_that_one_day_does_not_have_is_back_at_its_time_the_day_after() -> (
    None
):
    """02:30 in Berlin: on the day of the change it comes at 03:30, and then at 02:30 again."""
    zone = zone_named("Europe/Berlin")
    task = recurring(
        recurrence_pattern="daily", due_date="2027-03-27", remind_at="2027-03-27T01:30:00Z"
    )
    meant: Distance | None = None
    shown = []
    for _ in range(3):
        assert task.due_date is not None
        done_at = datetime.combine(task.due_date, time(12), UTC)
        (step,) = reconcile(written(task, tasks.complete(task, done_at)), meant, {}, zone, done_at)
        assert step.change is not None
        fields, meant = step.change.draft.fields, step.distance
        task = task.model_copy(update={"due_date": fields.due_date, "remind_at": fields.remind_at})
        assert fields.remind_at is not None
        shown.append(f"{fields.remind_at.astimezone(zone):%d %H:%M}")
    assert shown == ["28 03:30", "29 02:30", "30 02:30"]
