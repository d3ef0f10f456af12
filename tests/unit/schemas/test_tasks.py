"""A task's fields: what a client may set, and within which limits."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.bodies import TaskPatch, TaskPut
from schemas.tasks import (
    DESCRIPTION_MAX,
    TAGS_MAX,
    Priority,
    RecurrenceCatchUp,
    RecurrenceMode,
    RecurrencePattern,
    Status,
    Task,
    TaskFields,
    unique_names,
)
from tests.unit.schemas.samples import task_json

# One code point each: one, two, three and four bytes of UTF-8.
LETTERS = ["a", "\u00e4", "\u20ac", "\U0001f600"]
CLIENT_SETS = set(TaskFields.model_fields) | {"status"}


def broken(value: dict[str, object], model: type[TaskFields] = TaskFields) -> set[str]:
    """Give the fields that are refused."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        return {str(detail["loc"][0]) for detail in error.errors()}
    return set()


def test_a_title_is_enough_and_the_rest_is_the_contracts_default() -> None:
    assert TaskFields.model_validate({"title": "Pay rent"}).model_dump() == {
        "title": "Pay rent",
        "description": None,
        "priority": Priority.MEDIUM,
        "due_date": None,
        "remind_at": None,
        "recurrence_pattern": RecurrencePattern.NONE,
        "recurrence_interval": 1,
        "recurrence_mode": RecurrenceMode.DUE,
        "recurrence_rule": None,
        "recurrence_catch_up": RecurrenceCatchUp.NONE,
        "tags": (),
    }


@pytest.mark.parametrize("letter", LETTERS)
def test_lengths_count_code_points_after_trimming(letter: str) -> None:
    assert not broken({"title": f"  {letter * 500}\n"})
    assert broken({"title": letter * 501}) == {"title"}
    assert not broken({"title": "x", "description": letter * DESCRIPTION_MAX})
    assert broken({"title": "x", "description": letter * (DESCRIPTION_MAX + 1)}) == {"description"}
    assert not broken({"title": "x", "tags": [letter * 50 + " "]})
    assert broken({"title": "x", "tags": [letter * 51]}) == {"tags"}


@pytest.mark.parametrize("blank", ["", " ", "\t\n", "\u3000", None, 5, ["x"]])
def test_a_title_or_tag_of_nothing_is_refused(blank: object) -> None:
    assert broken({"title": blank}) == {"title"}
    assert broken({"title": "x", "tags": [blank]}) == {"tags"}
    assert broken({}) == {"title"}


def test_titles_and_tags_are_trimmed_and_descriptions_are_not() -> None:
    fields = TaskFields.model_validate({"title": " a b ", "description": " c ", "tags": [" d "]})
    assert (fields.title, fields.description, fields.tags) == ("a b", " c ", ("d",))


@pytest.mark.parametrize("interval", [0, -1, 1_000, 10**30, 1.0, 1.5, "1", True, None])
def test_an_interval_is_a_whole_number_from_1_to_999(interval: object) -> None:
    assert broken({"title": "x", "recurrence_interval": interval}) == {"recurrence_interval"}
    assert not broken({"title": "x", "recurrence_interval": 1})
    assert not broken({"title": "x", "recurrence_interval": 999})


@pytest.mark.parametrize("field", ["priority", "recurrence_pattern", "recurrence_mode"])
@pytest.mark.parametrize("value", ["", "HIGH", "hourly", None, 1, []])
def test_a_word_that_is_not_of_the_contract_is_refused(field: str, value: object) -> None:
    assert broken({"title": "x", field: value}) == {field}


@pytest.mark.parametrize("value", ["a", {"a": 1}, None, [["a"]], [str(n) for n in range(21)]])
def test_tags_are_a_list_of_at_most_twenty_names(value: object) -> None:
    assert broken({"title": "x", "tags": value}) == {"tags"}
    assert not broken({"title": "x", "tags": [str(n) for n in range(TAGS_MAX)]})


@given(st.lists(st.text(max_size=3) | st.sampled_from(["Home", "HOME", "ß", "SS", "ẞ"])))
def test_tags_are_unique_without_case_and_the_first_spelling_stays(names: list[str]) -> None:
    kept = unique_names(tuple(names))
    keys = [name.casefold() for name in kept]
    assert keys == sorted(set(keys))
    assert set(keys) == {name.casefold() for name in names}
    for name in kept:
        assert name == next(other for other in names if other.casefold() == name.casefold())
    assert unique_names(kept) == kept


@pytest.mark.parametrize("field", [*sorted(set(Task.model_fields) - CLIENT_SETS), "", "Title"])
@pytest.mark.parametrize("model", [TaskFields, TaskPut, TaskPatch])
def test_what_only_the_server_sets_and_what_nobody_knows_is_refused(
    model: type[TaskFields], field: str
) -> None:
    assert broken({"title": "x", field: None}, model) == {field}


def test_status_is_set_by_put_and_patch_and_not_at_the_beginning() -> None:
    assert broken({"title": "x", "status": "completed"}) == {"status"}
    assert TaskPut.model_validate({"title": "x", "status": "completed"}).status is Status.COMPLETED
    assert TaskPatch.model_validate({"status": "pending"}).model_fields_set == {"status"}


def test_a_patch_of_nothing_names_nothing() -> None:
    assert TaskPatch.model_validate({}).model_fields_set == set()


@pytest.mark.parametrize("field", sorted(CLIENT_SETS))
def test_null_clears_what_may_be_empty_and_is_refused_elsewhere(field: str) -> None:
    may_be_empty = field in {"description", "due_date", "remind_at", "recurrence_rule"}
    assert broken({field: None}, TaskPatch) == (set() if may_be_empty else {field})


def test_a_task_is_read_and_written_as_the_contract_shows_it() -> None:
    task = Task.model_validate(task_json())
    written = task.model_dump(mode="json")
    assert list(written) == list(task_json())
    assert written == task_json(
        remind_at="2027-01-31T08:00:00Z",
        created_at="2027-01-01T08:00:00Z",
        updated_at="2027-01-01T08:00:00Z",
    )


def test_a_task_of_a_later_version_with_more_fields_is_read() -> None:
    assert Task.model_validate(task_json(colour="red")) == Task.model_validate(task_json())


@pytest.mark.parametrize(
    "field", ["remind_at", "completed_at", "deleted_at", "created_at", "updated_at"]
)
def test_an_instant_without_a_zone_is_no_instant_of_a_task(field: str) -> None:
    with pytest.raises(ValidationError):
        Task.model_validate(task_json(**{field: "2027-01-01T08:00:00"}))
    task = Task.model_validate(task_json(**{field: "2027-01-01T08:00:00Z"}))
    assert getattr(task, field) == datetime(2027, 1, 1, 8, tzinfo=UTC)


ADDED = {"recurrence_rule", "recurrence_catch_up", "recurrence_anchor", "occurrence_only"}


@pytest.mark.parametrize("field", sorted(ADDED))
def test_a_task_of_an_event_from_before_a_field_was_added_is_read(field: str) -> None:
    kept = {name: value for name, value in task_json().items() if name != field}
    assert getattr(Task.model_validate(kept), field) in {None, RecurrenceCatchUp.NONE, ()}


@pytest.mark.parametrize("field", sorted(set(Task.model_fields) - ADDED))
def test_a_task_without_one_of_its_fields_is_refused(field: str) -> None:
    with pytest.raises(ValidationError):
        Task.model_validate({name: value for name, value in task_json().items() if name != field})
