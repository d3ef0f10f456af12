"""`?scope=this` over HTTP: an edit holds for one occurrence; what it cannot be is named."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.integration.api.world import Api, Json, Person, broken, problem, read

WEEKLY: Json = {
    "recurrence_pattern": "weekly",
    "due_date": "2099-01-05",
    "remind_at": "2099-01-04T08:00:00Z",
    "tags": ["home"],
}


async def edit(
    person: Person, task: Json, scope: str = "this", method: str = "PATCH", **fields: Any
) -> Json:
    answer = await person.ask(method, f"/tasks/{task['id']}?scope={scope}", json=fields)
    assert answer.status_code == 200, answer.text
    assert answer.headers["ETag"] == f'"{read(answer)["version"]}"'
    return read(answer)


async def test_it_is_one_version_and_one_event_that_names_the_fields(api: Api, ada: Person) -> None:
    task = await ada.create(**WEEKLY)
    edited = await edit(ada, task, title="Feed", due_date="2099-01-07")
    assert edited["occurrence_only"] == ["due_date", "title"]
    assert (edited["recurrence_anchor"], edited["version"]) == (task["recurrence_anchor"], 2)
    assert await edit(ada, task, title="Feed") == edited
    _, event = await api.events(task)
    assert event["type"] == "taskflow.task.updated"
    assert event["data"]["changed"] == ["due_date", "occurrence_only", "title"]
    assert json.dumps(event["data"]["task"]) == json.dumps(edited)
    assert "series_values" not in edited
    again = await edit(ada, task, title="Pay rent", due_date="2099-01-05")
    assert again["occurrence_only"] == []


async def test_put_and_patch_have_it_and_following_is_the_default(ada: Person) -> None:
    whole = {"title": "Feed"} | WEEKLY
    task = await ada.create(**WEEKLY)
    assert (await edit(ada, task, "this", "PUT", **whole))["occurrence_only"] == ["title"]
    assert (await ada.change(task, priority="high"))["occurrence_only"] == ["title"]
    assert (await edit(ada, task, "following", title="Feed"))["occurrence_only"] == []
    assert (await edit(ada, task, "this", "PUT", **whole))["occurrence_only"] == ["priority"]
    assert (await ada.change(task, "PUT", **whole))["occurrence_only"] == []


async def test_a_preview_goes_on_from_the_day_of_the_rule(ada: Person) -> None:
    task = await ada.create(**WEEKLY)
    before = read(await ada.ask("GET", f"/tasks/{task['id']}/occurrences?count=3"))
    edited = await edit(ada, task, due_date="2099-01-07", remind_at=None)
    assert read(await ada.ask("GET", f"/tasks/{task['id']}/occurrences?count=3")) == before
    assert edited["next_occurrence"] == before["items"][0]["due_date"]


async def test_reminders_of_this_one_follow_its_own_day(ada: Person) -> None:
    task = await ada.create(**WEEKLY)
    path = f"/tasks/{task['id']}/reminders"
    await ada.ask("POST", path, json={"before_due_minutes": 60})
    await edit(ada, task, due_date="2099-01-07", remind_at="2099-01-06T20:00:00Z")
    own, before_due = read(await ada.ask("GET", path))["items"]
    assert own["fires_at"] == "2099-01-06T20:00:00Z"
    assert before_due["fires_at"] == "2099-01-07T08:00:00Z"


async def test_a_skipped_one_leaves_it_behind(ada: Person) -> None:
    task = await ada.create(**WEEKLY)
    await edit(ada, task, title="Feed", due_date="2099-01-07")
    moved = read(await ada.ask("POST", f"/tasks/{task['id']}/skip"))
    assert (moved["title"], moved["due_date"]) == ("Pay rent", "2099-01-12")
    assert moved["occurrence_only"] == []


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
@pytest.mark.parametrize(
    ("query", "rule"),
    [
        ("scope=all", "one_of"),
        ("scope=", "one_of"),
        ("scope=This", "one_of"),
        ("scope=this&scope=this", "once"),
        ("scope=%00", "format"),
        ("scop=this", "unknown_parameter"),
    ],
)
async def test_what_is_no_scope_is_named_and_nothing_is_written(
    ada: Person, method: str, query: str, rule: str
) -> None:
    task = await ada.create(**WEEKLY)
    for task_id in (task["id"], uuid4()):
        answer = await ada.ask(method, f"/tasks/{task_id}?{query}", json={"title": "Feed"})
        assert broken(answer) == [(query.partition("=")[0], rule)]
    assert read(await ada.ask("GET", f"/tasks/{task['id']}")) == task


async def test_a_task_that_does_not_recur_has_no_scope(ada: Person) -> None:
    task = await ada.create()
    answer = await ada.ask("PATCH", f"/tasks/{task['id']}?scope=this", json={"title": "Feed"})
    assert broken(answer) == [("scope", "recurring")]
    assert (await edit(ada, task, "following", title="Feed"))["title"] == "Feed"


async def test_what_it_recurs_by_is_not_of_one_alone(ada: Person) -> None:
    task = await ada.create(**WEEKLY)
    place = f"/tasks/{task['id']}?scope=this"
    patched = await ada.ask("PATCH", place, json={"title": "x", "recurrence_interval": 2})
    assert broken(patched) == [("/recurrence_interval", "whole_series")]
    put = await ada.ask("PUT", place, json={"title": "x"})
    assert broken(put) == [("/recurrence_pattern", "whole_series")]


@pytest.mark.parametrize(
    ("method", "below"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/complete"),
        ("PATCH", "/complete"),
        ("POST", "/reopen"),
        ("POST", "/skip"),
        ("POST", "/end-series"),
        ("GET", "/occurrences"),
        ("GET", "/reminders"),
    ],
)
async def test_no_other_endpoint_of_a_task_takes_it(ada: Person, method: str, below: str) -> None:
    task = await ada.create(**WEEKLY)
    answer = await ada.ask(method, f"/tasks/{task['id']}{below}?scope=this")
    assert broken(answer) == [("scope", "unknown_parameter")]
    assert read(await ada.ask("GET", f"/tasks/{task['id']}")) == task
    made = await ada.ask("POST", "/tasks?scope=this", json={"title": "x"})
    assert broken(made) == [("scope", "unknown_parameter")]


async def test_if_match_guards_it(ada: Person) -> None:
    task = await ada.create(**WEEKLY)
    place = f"/tasks/{task['id']}?scope=this"
    for tag, status in (('"9"', 412), ('"1"', 200)):
        answer = await ada.ask("PATCH", place, json={"title": "x"}, headers={"If-Match": tag})
        assert answer.status_code == status
    stale = await ada.ask("PATCH", place, json={"title": "y"}, headers={"If-Match": '"1"'})
    problem(stale, 412, "precondition-failed")


async def test_a_task_of_another_user_is_not_there(ada: Person, bob: Person) -> None:
    task = await ada.create(**WEEKLY)
    answer = await bob.ask("PATCH", f"/tasks/{task['id']}?scope=this", json={"title": "x"})
    problem(answer, 404, "not-found")


@pytest.mark.parametrize(
    ("field", "rule"), [("occurrence_only", "read_only"), ("series_values", "unknown_field")]
)
async def test_a_client_sets_neither_the_names_nor_the_values(
    ada: Person, field: str, rule: str
) -> None:
    answer = await ada.ask("POST", json={"title": "x", field: []})
    assert broken(answer) == [(f"/{field}", rule)]
