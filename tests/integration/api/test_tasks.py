"""What a task is made of, and what its writes do to it."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.integration.api.world import Api, Json, Person, broken, problem, read

FIELDS = [
    "id",
    "user_id",
    "title",
    "description",
    "status",
    "completed",
    "priority",
    "due_date",
    "remind_at",
    "recurrence_pattern",
    "recurrence_interval",
    "recurrence_mode",
    "recurrence_rule",
    "recurrence_catch_up",
    "recurrence_anchor",
    "next_occurrence",
    "series_id",
    "occurrence",
    "occurrence_only",
    "tags",
    "completed_at",
    "deleted_at",
    "version",
    "created_at",
    "updated_at",
]
FULL: Json = {
    "title": "Pay rent",
    "description": "by transfer",
    "priority": "high",
    "due_date": "2027-01-31",
    "remind_at": "2027-01-31T08:00:00Z",
    "recurrence_pattern": "monthly",
    "recurrence_interval": 1,
    "recurrence_mode": "completion",
    "recurrence_rule": "COUNT=12",
    "recurrence_catch_up": "one",
    "tags": ["home", "money"],
}


async def test_a_task_of_just_a_title_has_the_defaults(ada: Person) -> None:
    answer = await ada.ask("POST", json={"title": "  Pay rent\n"})
    task = read(answer)
    assert answer.status_code == 201
    assert answer.headers["Location"] == ada.path(f"/tasks/{task['id']}")
    assert answer.headers["ETag"] == '"1"'
    assert list(task) == FIELDS
    assert UUID(task["id"]).version == 7
    assert task["created_at"] == task["updated_at"]
    server = {"id", "created_at", "updated_at"}
    assert {name: task[name] for name in FIELDS if name not in server} == {
        **dict.fromkeys(("description", "due_date", "remind_at", "next_occurrence", "series_id")),
        **dict.fromkeys(("recurrence_rule", "recurrence_anchor")),
        **dict.fromkeys(("occurrence", "completed_at", "deleted_at")),
        "user_id": str(ada.id),
        "title": "Pay rent",
        "status": "pending",
        "completed": False,
        "priority": "medium",
        "recurrence_pattern": "none",
        "recurrence_interval": 1,
        "recurrence_mode": "due",
        "recurrence_catch_up": "none",
        "occurrence_only": [],
        "tags": [],
        "version": 1,
    }


async def test_a_task_keeps_all_that_a_client_sets(ada: Person) -> None:
    task = await ada.create(**FULL)
    assert {name: task[name] for name in FULL} == FULL
    assert (task["next_occurrence"], task["occurrence"]) == ("2027-02-28", 1)
    assert UUID(task["series_id"]).version == 7
    assert read(await ada.ask("GET", f"/tasks/{task['id']}")) == task
    assert read(await ada.ask("GET"))["items"] == [task]


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({}, [("/title", "required")]),
        ({"title": ""}, [("/title", "min_length")]),
        ({"title": " \u2003 "}, [("/title", "min_length")]),
        ({"title": "😀" * 501}, [("/title", "max_length")]),
        ({"title": None}, [("/title", "type")]),
        ({"title": 1}, [("/title", "type")]),
        ({"description": "😀" * 10_001}, [("/description", "max_length")]),
        ({"priority": "High"}, [("/priority", "one_of")]),
        ({"priority": None}, [("/priority", "one_of")]),
        ({"due_date": "2027-02-29"}, [("/due_date", "format")]),
        ({"due_date": "2027-1-31"}, [("/due_date", "format")]),
        ({"due_date": 1_800_000_000}, [("/due_date", "format")]),
        ({"remind_at": "2027-01-31T08:00:00"}, [("/remind_at", "format")]),
        ({"remind_at": "9999-12-31T23:59:59-01:00"}, [("/remind_at", "format")]),
        ({"recurrence_pattern": "hourly"}, [("/recurrence_pattern", "one_of")]),
        ({"recurrence_interval": 0}, [("/recurrence_interval", "minimum")]),
        ({"recurrence_interval": 1000}, [("/recurrence_interval", "maximum")]),
        ({"recurrence_interval": True}, [("/recurrence_interval", "type")]),
        ({"recurrence_interval": 10**300}, [("/recurrence_interval", "maximum")]),
        ({"recurrence_mode": ""}, [("/recurrence_mode", "one_of")]),
        ({"tags": "home"}, [("/tags", "type")]),
        ({"tags": ["x" * 51]}, [("/tags/0", "max_length")]),
        ({"tags": ["home", " "]}, [("/tags/1", "min_length")]),
        ({"tags": [str(n) for n in range(21)]}, [("/tags", "max_length")]),
        (
            {"colour": "red", "a/b~": 1},
            [("/colour", "unknown_field"), ("/a~1b~0", "unknown_field")],
        ),
        ({"priority": 1, "tags": 1}, [("/priority", "one_of"), ("/tags", "type")]),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named_with_the_rule(
    ada: Person, fields: Json, rules: list[tuple[str, str]]
) -> None:
    given = fields if "title" in fields or not fields else {"title": "Pay rent", **fields}
    assert broken(await ada.ask("POST", json=given)) == rules
    assert read(await ada.ask("GET"))["items"] == []


async def test_lengths_count_code_points_and_the_longest_are_kept(ada: Person) -> None:
    names = sorted(chr(0x1F600 + number) * 50 for number in range(20))
    longest = {"title": "😀" * 500, "description": "é" * 10_000, "tags": names}
    task = await ada.create(**longest)
    assert {name: task[name] for name in longest} == longest


async def test_what_only_the_server_sets_is_refused_in_every_write(ada: Person) -> None:
    task = await ada.create()
    for name in set(FIELDS) - set(FULL) - {"status"}:
        body = {"title": "x", name: task[name]}
        for method, below in (("POST", ""), ("PUT", f"/{task['id']}"), ("PATCH", f"/{task['id']}")):
            answer = await ada.ask(method, f"/tasks{below}", json=body)
            assert broken(answer) == [(f"/{name}", "read_only")]
    answer = await ada.ask("POST", json={"title": "x", "status": "completed"})
    assert broken(answer) == [("/status", "read_only")]
    assert read(await ada.ask("GET", f"/tasks/{task['id']}")) == task


async def test_put_replaces_all_but_the_status(ada: Person) -> None:
    task = await ada.create(**FULL)
    done = await ada.change(task, status="completed")
    put = await ada.change(task, "PUT", title="Buy milk")
    assert put["status"] == "completed"
    assert put["completed_at"] == done["completed_at"]
    plain = await ada.create(title="Buy milk")
    server = {"id", "version", "created_at", "updated_at", "status", "completed", "completed_at"}
    assert {n: put[n] for n in FIELDS if n not in server} == {
        n: plain[n] for n in FIELDS if n not in server
    }
    assert (await ada.change(task, "PUT", title="x", status="pending"))["completed_at"] is None
    assert broken(await ada.ask("PUT", f"/tasks/{task['id']}", json={"priority": "low"})) == [
        ("/title", "required")
    ]


async def test_patch_merges_and_null_clears_only_what_may_be_empty(ada: Person) -> None:
    task = await ada.create(**FULL)
    for name in ("description", "due_date", "remind_at", "recurrence_rule"):
        task = read(await ada.ask("PATCH", f"/tasks/{task['id']}", json={name: None}))
        assert task[name] is None
    assert task["next_occurrence"] is None
    kept = dict.fromkeys(("description", "due_date", "remind_at", "recurrence_rule"))
    assert {name: task[name] for name in FULL} == FULL | kept
    for name in set(FULL) - set(kept) | {"status"}:
        answer = await ada.ask("PATCH", f"/tasks/{task['id']}", json={name: None})
        assert [field for field, _ in broken(answer)] == [f"/{name}"]
    merge = {"Content-Type": "application/merge-patch+json; charset=utf-8"}
    raw = b'{"title":"Renamed"}'
    answer = await ada.ask("PATCH", f"/tasks/{task['id']}", headers=merge, content=raw)
    assert read(answer)["title"] == "Renamed"


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_complete_and_reopen_do_it_once(api: Api, ada: Person, method: str) -> None:
    task = await ada.create()
    done, again = [await ada.ask(method, f"/tasks/{task['id']}/complete") for _ in range(2)]
    assert done.status_code == again.status_code == 200
    assert read(done) == read(again)
    assert done.headers["ETag"] == again.headers["ETag"] == '"2"'
    assert read(done)["status"] == "completed"
    assert read(done)["completed"] is True
    assert read(done)["completed_at"]
    opened, again = [await ada.ask(method, f"/tasks/{task['id']}/reopen") for _ in range(2)]
    assert read(opened) == read(again)
    assert read(opened)["version"] == 3
    assert (read(opened)["status"], read(opened)["completed_at"]) == ("pending", None)
    verbs = [event["type"].rpartition(".")[2] for event in await api.events(task)]
    assert verbs == ["created", "completed", "reopened"]


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "complete", "reopen"])
async def test_a_deleted_task_is_not_there(api: Api, ada: Person, method: str) -> None:
    task = await ada.create()
    deleted = await ada.ask("DELETE", f"/tasks/{task['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    problem(await ask_any(ada, method, task), 404, "not-found")
    assert read(await ada.ask("GET"))["items"] == []
    assert [event["data"]["changed"] for event in await api.events(task)] == [[], ["deleted_at"]]


async def test_a_reminder_is_checked_against_the_clock_only_when_it_changes(
    api: Api, ada: Person
) -> None:
    def ago(seconds: int) -> str:
        return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()

    past = [("/remind_at", "not_past")]
    assert broken(await ada.ask("POST", json={"title": "x", "remind_at": ago(62)})) == past
    task = await ada.create(remind_at=ago(55))
    await api.database.fetch(
        "UPDATE tasks SET remind_at = '2020-01-01T00:00:00Z' WHERE id = $1", UUID(task["id"])
    )
    same = {"remind_at": "2020-01-01T01:00:00+01:00"}
    assert (await ada.change(task, title="Later", **same))["version"] == 2
    assert (await ada.change(task, "PUT", title="Put", **same))["version"] == 3
    answer = await ada.ask("PATCH", f"/tasks/{task['id']}", json={"remind_at": ago(3600)})
    assert broken(answer) == past


async def test_instants_of_other_offsets_come_back_in_utc(ada: Person) -> None:
    task = await ada.create(remind_at="2027-01-31t08:00:00.25+05:30")
    assert task["remind_at"] == "2027-01-31T02:30:00.250000Z"


async def test_tags_are_one_without_case_and_keep_their_first_spelling(ada: Person) -> None:
    task = await ada.create(tags=["Straße", "home", "HOME", "STRASSE"])
    assert task["tags"] == ["home", "Straße"]
    assert (await ada.create(tags=["STRASSE", "Home"]))["tags"] == ["home", "Straße"]
    again = await ada.change(task, tags=["HOME", "strasse"])
    assert (again["tags"], again["version"]) == (["home", "Straße"], 1)
    assert (await ada.change(task, tags=["HOME", "work"]))["tags"] == ["home", "work"]


async def ask_any(person: Person, method: str, task: Json) -> httpx.Response:
    below = f"/tasks/{task['id']}"
    if method in {"complete", "reopen"}:
        return await person.ask("POST", f"{below}/{method}")
    body: Any = {"title": "x"} if method in {"PUT", "PATCH"} else None
    return await person.ask(method, below, content=json.dumps(body) if body else None)
