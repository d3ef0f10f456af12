"""What a write makes of a task, and the one event that says so."""

from datetime import date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.bodies import TaskPatch, TaskPut
from schemas.events import TaskEventType
from schemas.tasks import RecurrencePattern, Status, Task, TaskFields
from streams.domain import tasks
from streams.domain.tasks import Change, RuleError
from tests.unit.domain.writing import LATER, NOW, PUTS, STATUSES, TASKS, WISHES, new_task, written

PATCHES = st.builds(
    lambda wish, status, named: TaskPatch.model_validate(
        {name: value for name, value in (wish | status).items() if name in named}
    ),
    WISHES,
    STATUSES,
    st.sets(st.sampled_from([*TaskFields.model_fields, "status"])),
)


def patch(task: Task, **fields: object) -> Change | None:
    return tasks.patch(task, TaskPatch.model_validate(fields), NOW)


def put(task: Task, **fields: object) -> Change | None:
    return tasks.put(task, TaskPut.model_validate(fields), NOW)


def decided(task: Task, body: TaskPut) -> Change | None:
    """Decide by a PATCH or a PUT, whichever the body is of."""
    if isinstance(body, TaskPatch):
        return tasks.patch(task, body, LATER)
    return tasks.put(task, body, LATER)


def type_of(change: Change | None) -> TaskEventType | None:
    return change.event_type if change else None


def test_a_new_task_is_pending_and_names_no_changes() -> None:
    change = tasks.create(TaskFields(title="Pay rent"), NOW)
    assert change.event_type is TaskEventType.CREATED
    assert change.changed == ()
    assert change.draft.status is Status.PENDING
    assert change.draft.completed_at is None
    assert change.draft.deleted_at is None


@given(TASKS, PUTS)
def test_a_put_that_is_repeated_changes_nothing(task: Task, body: TaskPut) -> None:
    after = written(task, tasks.put(task, body, NOW))
    assert tasks.put(after, body, LATER) is None


@given(TASKS, PATCHES)
def test_a_patch_that_is_repeated_changes_nothing(task: Task, body: TaskPatch) -> None:
    after = written(task, tasks.patch(task, body, NOW))
    assert tasks.patch(after, body, LATER) is None


@given(TASKS, PUTS | PATCHES)
def test_a_change_names_exactly_the_fields_that_differ(task: Task, body: TaskPut) -> None:
    change = decided(task, body)
    after = written(task, change)
    of_each_write = {"version", "updated_at", "completed"}
    differ = {
        name
        for name in Task.model_fields
        if name not in of_each_write and getattr(task, name) != getattr(after, name)
    }
    assert set(change.changed if change else ()) == differ
    assert change is None or list(change.changed) == sorted(differ) != []


@given(TASKS, PUTS | PATCHES)
def test_the_event_is_that_of_the_status_if_it_changes_and_else_an_update(
    task: Task, body: TaskPut
) -> None:
    change = decided(task, body)
    if change is None:
        return
    expected = {
        (Status.PENDING, Status.COMPLETED): TaskEventType.COMPLETED,
        (Status.COMPLETED, Status.PENDING): TaskEventType.REOPENED,
    }
    asked = (task.status, change.draft.status)
    assert change.event_type is expected.get(asked, TaskEventType.UPDATED)


@given(TASKS, PUTS)
def test_a_put_sets_what_it_does_not_name_to_its_default_but_for_status(
    task: Task, body: TaskPut
) -> None:
    after = written(task, tasks.put(task, body, NOW))
    for name in set(TaskFields.model_fields) - {"tags"}:
        assert getattr(after, name) == getattr(body, name)
    assert {tag.casefold() for tag in after.tags} == {tag.casefold() for tag in body.tags}
    named = "status" in body.model_fields_set
    assert after.status is (body.status if named else task.status)


@given(TASKS, PATCHES)
def test_a_patch_leaves_what_it_does_not_name(task: Task, body: TaskPatch) -> None:
    after = written(task, tasks.patch(task, body, NOW))
    for name in (set(TaskFields.model_fields) | {"status"}) - body.model_fields_set:
        assert getattr(after, name) == getattr(task, name)


@pytest.mark.parametrize("field", ["description", "due_date", "remind_at"])
def test_null_in_a_patch_clears(field: str) -> None:
    values = {"description": "x", "due_date": "2027-02-01", "remind_at": LATER}
    task = new_task(**values)
    change = patch(task, **{field: None})
    assert change
    assert change.changed == (field,)
    assert getattr(written(task, change), field) is None


def test_completing_and_reopening_are_each_one_event_and_undo_each_other() -> None:
    task = new_task(recurrence_pattern="weekly", due_date="2027-01-04")
    done = tasks.complete(task, NOW)
    assert done
    assert (done.event_type, done.changed) == (
        TaskEventType.COMPLETED,
        ("completed_at", "status"),
    )
    completed = written(task, done)
    assert completed.completed_at == NOW
    again = tasks.reopen(completed, LATER)
    assert again
    assert (again.event_type, again.changed) == (TaskEventType.REOPENED, ("completed_at", "status"))
    assert written(completed, again) == task.model_copy(update={"version": 3})


@given(TASKS)
def test_completing_reopening_and_deleting_again_change_nothing(task: Task) -> None:
    for decide in (tasks.complete, tasks.reopen, tasks.delete):
        assert decide(written(task, decide(task, NOW)), LATER) is None


def test_completing_again_changes_nothing_even_if_its_rules_have_changed_since() -> None:
    """Else a release that counts otherwise would make an event of each repeated request."""
    task = new_task(recurrence_pattern="weekly", due_date="2027-01-04")
    old = {"next_occurrence": date(2027, 1, 5)}
    assert tasks.reopen(task.model_copy(update=old), LATER) is None
    completed = written(task, tasks.complete(task, NOW))
    assert tasks.complete(completed.model_copy(update=old), LATER) is None


@pytest.mark.parametrize("write", [put, patch])
def test_status_by_put_and_patch_has_the_same_effect(write: object) -> None:
    assert callable(write)
    task = new_task()
    done = write(task, title=task.title, status="completed")
    assert done == tasks.complete(task, NOW)
    completed = written(task, done)
    assert write(completed, title=task.title, status="pending") == tasks.reopen(completed, NOW)
    assert write(completed, title=task.title, status="completed") is None


def test_the_instant_of_completion_stays_whatever_else_changes() -> None:
    completed = written(new_task(), tasks.complete(new_task(), NOW))
    for body in ({"title": "Later"}, {"title": "Later", "status": "completed"}):
        change = tasks.patch(completed, TaskPatch.model_validate(body), LATER)
        assert change
        assert (change.event_type, change.changed) == (TaskEventType.UPDATED, ("title",))
        assert change.draft.completed_at == NOW


def test_deleting_is_soft_and_changes_nothing_else() -> None:
    task = new_task(tags=["home"], recurrence_pattern="daily", due_date="2027-01-04")
    change = tasks.delete(task, NOW)
    assert change
    assert (change.event_type, change.changed) == (TaskEventType.DELETED, ("deleted_at",))
    deleted = written(task, change)
    assert deleted == task.model_copy(update={"deleted_at": NOW, "version": 2})


class TestReminders:
    """A reminder is compared with the clock when it is set, and only then."""

    PAST = NOW - timedelta(seconds=60)
    TOO_PAST = PAST - timedelta(microseconds=1)

    def test_a_reminder_may_be_a_minute_old_and_no_older(self) -> None:
        task = new_task()
        assert type_of(patch(task, remind_at=self.PAST)) is TaskEventType.UPDATED
        new = tasks.create(TaskFields(title="x", remind_at=self.PAST), NOW)
        assert new.draft.fields.remind_at == self.PAST
        with pytest.raises(RuleError, match="60 s in the past") as caught:
            tasks.create(TaskFields(title="x", remind_at=self.TOO_PAST), NOW)
        assert (caught.value.field, caught.value.rule) == ("remind_at", "not_past")

    @pytest.mark.parametrize("write", [put, patch])
    def test_a_new_reminder_in_the_past_is_refused_by_every_write(self, write: object) -> None:
        assert callable(write)
        with pytest.raises(RuleError):
            write(new_task(remind_at=LATER), title="x", remind_at=self.TOO_PAST)

    def test_a_reminder_that_has_passed_is_no_obstacle_to_other_changes(self) -> None:
        task = new_task(remind_at=LATER)
        much_later = LATER + timedelta(days=400)
        body = {"title": "Late", "remind_at": LATER}
        for change in (
            tasks.patch(task, TaskPatch.model_validate({"title": "Late"}), much_later),
            tasks.patch(task, TaskPatch.model_validate(body), much_later),
            tasks.put(task, TaskPut.model_validate(body), much_later),
        ):
            assert change
            assert change.changed == ("title",)
        assert type_of(tasks.complete(task, much_later)) is TaskEventType.COMPLETED

    def test_the_same_instant_with_another_offset_is_no_change(self) -> None:
        task = new_task(remind_at="2027-01-31T08:00:00Z")
        assert patch(task, remind_at="2027-01-31T09:00:00+01:00") is None

    def test_a_reminder_can_always_be_cleared(self) -> None:
        task = new_task(remind_at=LATER)
        change = tasks.patch(task, TaskPatch(remind_at=None), LATER + timedelta(days=9))
        assert change
        assert change.changed == ("remind_at",)


class TestSeries:
    """A recurring task is of a series; one that does not recur is of none."""

    @given(TASKS)
    def test_the_fields_of_a_series_are_there_exactly_if_it_recurs(self, task: Task) -> None:
        recurs = task.recurrence_pattern is not RecurrencePattern.NONE
        assert (task.series_id is not None) is recurs
        assert (task.occurrence is not None) is recurs
        if not recurs or task.due_date is None:
            assert task.next_occurrence is None

    def test_a_series_begins_at_its_first_occurrence_and_knows_its_next_day(self) -> None:
        task = new_task(recurrence_pattern="monthly", due_date="2027-01-31")
        assert task.occurrence == 1
        assert task.next_occurrence == date(2027, 2, 28)

    def test_a_series_without_a_due_day_has_no_next_day_yet(self) -> None:
        task = new_task(recurrence_pattern="monthly")
        assert task.series_id
        assert task.next_occurrence is None

    def test_turning_recurrence_on_begins_a_series_and_off_ends_it(self) -> None:
        task = new_task(due_date="2027-01-31")
        on = patch(task, recurrence_pattern="weekly")
        assert on
        assert on.changed == (
            "next_occurrence",
            "occurrence",
            "recurrence_anchor",
            "recurrence_pattern",
            "series_id",
        )
        recurring = written(task, on)
        off = patch(recurring, recurrence_pattern="none")
        assert off
        assert off.changed == on.changed
        assert written(recurring, off) == task.model_copy(update={"version": 3})

    def test_a_change_of_pattern_day_or_interval_stays_in_the_series(self) -> None:
        task = new_task(due_date="2027-01-31", recurrence_pattern="weekly")
        for body, next_on in (
            ({"recurrence_pattern": "daily"}, date(2027, 2, 1)),
            ({"due_date": "2027-02-01"}, date(2027, 2, 8)),
            ({"recurrence_interval": 2}, date(2027, 2, 14)),
        ):
            change = patch(task, **body)
            assert change
            anchor = ["recurrence_anchor"] if "due_date" in body else []
            assert change.changed == tuple(sorted([*body, *anchor, "next_occurrence"]))
            assert change.draft.next_occurrence == next_on
            assert (change.draft.series_id, change.draft.occurrence) == (task.series_id, 1)

    def test_two_series_are_two(self) -> None:
        first, second = (new_task(recurrence_pattern="daily") for _ in range(2))
        assert first.series_id != second.series_id


class TestTags:
    """Tags are compared without case, and keep the spelling that they have."""

    def test_the_same_tags_in_another_order_and_spelling_are_no_change(self) -> None:
        task = new_task(tags=["home", "Work"])
        assert patch(task, tags=["WORK", "Home", "home"]) is None
        assert put(task, title=task.title, tags=["work", "home"]) is None

    @pytest.mark.parametrize("tags", [[], ["home"], ["home", "work", "x"], ["x", "work"]])
    def test_other_tags_are_a_change(self, tags: list[str]) -> None:
        change = patch(new_task(tags=["home", "work"]), tags=tags)
        assert change
        assert change.changed == ("tags",)
        assert change.draft.fields.tags == tuple(sorted(tags))


def test_nothing_decided_depends_on_the_clock_but_completion_and_reminders() -> None:
    task = new_task(tags=["home"], due_date="2027-01-31")
    body = TaskPatch.model_validate({"title": "x", "due_date": "2020-01-01"})
    instants = [datetime.fromisoformat(f"{year}-01-01T00:00:00Z") for year in (1970, 2027, 9999)]
    first, *others = [tasks.patch(task, body, now) for now in instants]
    assert first
    assert all(other == first for other in others)
