"""An edit of one occurrence alone: its series goes on as if there had been none."""

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bodies import TaskPatch, TaskPut
from schemas.tasks import (
    RecurrenceCatchUp,
    RecurrenceMode,
    Scope,
    SeriesValues,
    Task,
)
from streams.domain import skipping, tasks
from streams.domain.overrides import client_fields
from streams.domain.succession import reconcile
from streams.domain.tasks import Draft, RuleError
from streams.domain.zones import zone_named
from tests.unit.domain.writing import NOW, new_task, written

THIS, FOLLOWING = Scope.THIS, Scope.FOLLOWING
ZONE = zone_named("Europe/Berlin")
DUE = date(2027, 3, 1)
VALUES: dict[str, st.SearchStrategy[object]] = {
    "title": st.sampled_from(["Water", "Feed"]),
    "description": st.sampled_from([None, "", "the plants"]),
    "priority": st.sampled_from(["low", "high"]),
    "tags": st.sampled_from([[], ["home"], ["home", "garden"]]),
    "due_date": st.none() | st.dates(DUE, DUE + timedelta(days=9)),
}
REMINDERS = st.sampled_from([None, "2027-03-01T08:00:00Z", "2027-04-02T09:30:00Z"])
EDITS = st.lists(
    st.tuples(st.just(FOLLOWING), st.fixed_dictionaries({}, optional=VALUES))
    | st.tuples(
        st.just(THIS), st.fixed_dictionaries({}, optional=VALUES | {"remind_at": REMINDERS})
    ),
    max_size=5,
)


def recurring(**fields: object) -> Task:
    given = {"due_date": DUE, "remind_at": "2027-02-28T08:00:00Z"} | fields
    return new_task(**{"recurrence_pattern": "daily", "title": "Water"} | given)


def edited(task: Task, scope: Scope, **fields: object) -> Task:
    return written(task, tasks.patch(task, TaskPatch.model_validate(fields), NOW, scope))


def following(task: Task, done_at: datetime | None = None) -> Draft:
    """Give what follows a task that is completed, on its due day unless said."""
    if done_at is None:
        done_at = datetime.combine(task.due_date or DUE, time(12), UTC)
    completed = written(task, tasks.complete(task, done_at))
    (step,) = reconcile(completed, None, {}, ZONE, done_at)
    assert step.change is not None
    return step.change.draft


@given(EDITS, st.sampled_from(RecurrenceMode), st.sampled_from(RecurrenceCatchUp))
def test_what_follows_is_as_if_the_edits_of_this_one_had_not_been(
    edits: list[tuple[Scope, dict[str, object]]], mode: RecurrenceMode, catch_up: RecurrenceCatchUp
) -> None:
    """Whatever is edited in which order, and also by the edits for all that follow between them."""
    first = recurring(recurrence_mode=mode, recurrence_catch_up=catch_up)
    task, never = first, first
    for scope, fields in edits:
        task = edited(task, scope, **fields)
        if scope is FOLLOWING:
            never = edited(never, scope, **fields)
    done_at = datetime(2027, 3, 5, 12, tzinfo=UTC)
    assert following(task, done_at) == following(never, done_at)
    assert following(task, done_at).series_values is None


@given(EDITS)
def test_it_names_what_differs_and_its_values_survive_the_table(
    edits: list[tuple[Scope, dict[str, object]]],
) -> None:
    """They are there exactly if something differs."""
    task = recurring()
    for scope, fields in edits:
        task = edited(task, scope, **fields)
        values = task.series_values
        assert (values is None) is (task.occurrence_only == ())
        if values is not None:
            kept = SeriesValues.model_validate_json(values.model_dump_json(exclude_unset=True))
            assert kept == values
            assert kept.model_fields_set == values.model_fields_set


@given(EDITS, st.sampled_from(RecurrenceMode), st.sampled_from(RecurrenceCatchUp))
def test_a_preview_and_next_occurrence_are_what_doing_it_on_its_own_day_gives(
    edits: list[tuple[Scope, dict[str, object]]], mode: RecurrenceMode, catch_up: RecurrenceCatchUp
) -> None:
    """Also if it was moved beyond the next day of the rule."""
    task = recurring(recurrence_mode=mode, recurrence_catch_up=catch_up)
    for scope, fields in edits:
        task = edited(task, scope, **fields)
    done_at = datetime.combine(task.due_date or DUE, time(12), UTC)
    ((_, due_on, remind_at),) = skipping.preview(task, min(done_at, NOW), ZONE, 1)
    if task.due_date is not None:
        assert task.next_occurrence == due_on
        made = following(task).fields
        assert (made.due_date, made.remind_at) == (due_on, remind_at)


@pytest.mark.parametrize(
    ("catch_up", "next_on"), [("none", "2027-03-08"), ("one", "2027-03-07"), ("all", "2027-03-02")]
)
def test_one_moved_beyond_the_next_day_counts_as_done_late(catch_up: str, next_on: str) -> None:
    task = edited(recurring(recurrence_catch_up=catch_up), THIS, due_date="2027-03-08")
    assert task.recurrence_anchor == DUE
    assert str(following(task).fields.due_date) == next_on
    early = following(task, datetime(2027, 3, 1, 12, tzinfo=UTC))
    assert early.fields.due_date == date(2027, 3, 2)


def test_a_change_names_the_field_and_that_it_is_of_this_one_alone() -> None:
    change = tasks.patch(recurring(), TaskPatch(title="Feed"), NOW, THIS)
    assert change
    assert change.changed == ("occurrence_only", "title")
    assert change.draft.occurrence_only == ("title",)


def test_the_same_field_for_all_that_follow_holds_for_both_again() -> None:
    """Also by the value that this one has already, and by a PUT, which names all."""
    once = edited(recurring(), THIS, title="Feed", priority="high")
    for value in ("Feed", "Weed"):
        both = edited(once, FOLLOWING, title=value)
        assert both.occurrence_only == ("priority",)
        assert following(both).fields.title == value
    body = TaskPut.model_validate(client_fields(once).model_dump())
    both = written(once, tasks.put(once, body, NOW))
    assert (both.occurrence_only, following(both).fields.priority) == ((), "high")


def test_an_edit_for_all_that_follow_alone_makes_no_difference() -> None:
    """A reminder that stays while its day is moved is as far from the new day from then on."""
    task = edited(recurring(), FOLLOWING, title="Feed", due_date="2027-03-05", tags=["x"])
    assert (task.occurrence_only, task.series_values) == ((), None)
    assert following(task).fields.remind_at == datetime(2027, 3, 1, 8, tzinfo=UTC)


def test_set_back_it_differs_no_more() -> None:
    task = recurring(tags=["home"])
    once = edited(task, THIS, title="Feed", tags=[], due_date="2027-03-03", remind_at=None)
    assert once.occurrence_only == ("due_date", "remind_at", "tags", "title")
    again = edited(once, THIS, title="Water", tags=["HOME"], due_date=DUE, remind_at=task.remind_at)
    assert (again.occurrence_only, again.series_values) == ((), None)


def test_a_reminder_keeps_its_distance_when_only_its_day_is_moved_for_this_one() -> None:
    task = edited(recurring(), THIS, due_date="2027-03-05")
    assert task.occurrence_only == ("due_date",)
    assert following(task).fields.remind_at == datetime(2027, 3, 4, 8, tzinfo=UTC)


def test_a_reminder_set_for_all_while_the_day_is_moved_is_as_far_from_each_day() -> None:
    """And one set for this one alone after that leaves it so."""
    moved = edited(recurring(), THIS, due_date="2027-03-03")
    task = edited(moved, FOLLOWING, remind_at="2027-03-03T07:00:00Z")
    assert task.occurrence_only == ("due_date",)
    for one in (task, edited(task, THIS, remind_at="2027-03-03T20:00:00Z")):
        assert following(one).fields.due_date == date(2027, 3, 3)
        assert following(one).fields.remind_at == datetime(2027, 3, 3, 7, tzinfo=UTC)
    back = edited(task, THIS, due_date=DUE)
    assert back.occurrence_only == ("remind_at",)
    assert following(back).fields.remind_at == datetime(2027, 3, 2, 7, tzinfo=UTC)


def test_skipping_leaves_behind_what_was_of_that_one_alone() -> None:
    task = edited(recurring(), THIS, title="Feed", due_date="2027-03-07")
    change = skipping.skip(task, date(2027, 2, 1), ZONE)
    assert change
    moved = written(task, change)
    assert (moved.title, str(moved.due_date), moved.occurrence) == ("Water", "2027-03-02", 2)
    assert (moved.occurrence_only, moved.series_values) == ((), None)
    assert moved.remind_at == datetime(2027, 3, 1, 8, tzinfo=UTC)


def test_ending_the_series_keeps_this_one_as_it_is() -> None:
    task = edited(recurring(), THIS, title="Feed")
    ended = written(task, tasks.end_series(task, NOW))
    assert (ended.title, ended.occurrence_only, ended.series_values) == ("Feed", (), None)


def test_completing_and_reopening_change_nothing_of_it() -> None:
    task = edited(recurring(), THIS, title="Feed")
    completed = written(task, tasks.complete(task, NOW))
    reopened = written(completed, tasks.reopen(completed, NOW))
    assert reopened.series_values == completed.series_values == task.series_values
    assert reopened.occurrence_only == ("title",)


class TestRefused:
    """What cannot hold for one occurrence alone is named."""

    @pytest.mark.parametrize(
        "fields",
        [
            {"recurrence_pattern": "none"},
            {"recurrence_interval": 2},
            {"recurrence_mode": "completion"},
            {"recurrence_rule": "COUNT=3"},
            {"recurrence_catch_up": "all"},
        ],
    )
    def test_what_the_series_recurs_by(self, fields: dict[str, object]) -> None:
        with pytest.raises(RuleError) as caught:
            edited(recurring(), THIS, title="Feed", **fields)
        assert [caught.value.field] == list(fields)
        assert (caught.value.rule, caught.value.in_query) == ("whole_series", False)
        same = {name: recurring().model_dump()[name] for name in fields}
        assert edited(recurring(), THIS, title="Feed", **same).title == "Feed"

    def test_a_task_that_does_not_recur(self) -> None:
        with pytest.raises(RuleError) as caught:
            edited(new_task(), THIS)
        assert (caught.value.field, caught.value.rule) == ("scope", "recurring")
        assert caught.value.in_query
