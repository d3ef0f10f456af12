"""A series over HTTP: what follows, skip one, end it; rules that are refused by name."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.integration.api.world import Api, Person, broken, problem, read

MONTHLY: dict[str, Any] = {
    "recurrence_pattern": "monthly",
    "due_date": "2099-01-31",
    "remind_at": "2099-01-30T08:00:00Z",
}


async def test_a_preview_names_number_day_and_reminder_of_what_follows(
    api: Api,
) -> None:
    """Ten of them, unless asked for more or fewer; by the clock of the user's zone."""
    ada = await api.person("Europe/Berlin")
    task = await ada.create(**MONTHLY)
    found = read(await ada.ask("GET", f"/tasks/{task['id']}/occurrences?count=3"))
    assert found == {
        "items": [
            {"occurrence": 2, "due_date": "2099-02-28", "remind_at": "2099-02-27T08:00:00Z"},
            {"occurrence": 3, "due_date": "2099-03-31", "remind_at": "2099-03-30T07:00:00Z"},
            {"occurrence": 4, "due_date": "2099-04-30", "remind_at": "2099-04-29T07:00:00Z"},
        ],
        "next_cursor": None,
    }
    for asked, count in (("", 10), ("?count=100", 100), ("?count=1", 1)):
        answer = read(await ada.ask("GET", f"/tasks/{task['id']}/occurrences{asked}"))
        assert len(answer["items"]) == count


async def test_a_preview_of_what_does_not_recur_or_ends_is_short(ada: Person) -> None:
    for fields, count in (
        ({}, 0),
        (MONTHLY | {"recurrence_rule": "COUNT=3"}, 2),
        (MONTHLY | {"recurrence_rule": "UNTIL=20990301"}, 1),
    ):
        task = await ada.create(**fields)
        answer = read(await ada.ask("GET", f"/tasks/{task['id']}/occurrences"))
        assert len(answer["items"]) == count


@pytest.mark.parametrize("count", ["0", "101", "x", "-1", "1.5", "", "\u0661", "9" * 5000])
async def test_a_count_outside_of_1_to_100_is_refused(ada: Person, count: str) -> None:
    task = await ada.create(**MONTHLY)
    answer = await ada.ask("GET", f"/tasks/{task['id']}/occurrences", params={"count": count})
    assert broken(answer) == [("count", "range")]


async def test_skip_moves_this_one_by_one_event(api: Api, ada: Person) -> None:
    task = await ada.create(**MONTHLY)
    moved = read(await ada.ask("POST", f"/tasks/{task['id']}/skip"))
    assert (moved["id"], moved["version"]) == (task["id"], 2)
    assert (moved["due_date"], moved["occurrence"]) == ("2099-02-28", 2)
    assert moved["remind_at"] == "2099-02-27T08:00:00Z"
    assert (moved["recurrence_anchor"], moved["next_occurrence"]) == ("2099-01-31", "2099-03-31")
    _, event = await api.events(task)
    assert event["type"] == "taskflow.task.updated"
    assert event["data"]["changed"] == ["due_date", "next_occurrence", "occurrence", "remind_at"]


async def test_skip_of_what_is_over_or_does_not_recur_is_a_conflict(ada: Person) -> None:
    plain = await ada.create()
    last = await ada.create(**MONTHLY, recurrence_rule="COUNT=1")
    done = await ada.create(**MONTHLY)
    await ada.ask("POST", f"/tasks/{done['id']}/complete")
    for task in (plain, last, done):
        problem(await ada.ask("POST", f"/tasks/{task['id']}/skip"), 409, "conflict")


async def test_ending_a_series_is_one_event_and_again_none(api: Api, ada: Person) -> None:
    task = await ada.create(**MONTHLY, recurrence_rule="BYMONTHDAY=-1")
    ended = read(await ada.ask("POST", f"/tasks/{task['id']}/end-series"))
    assert ended["recurrence_pattern"] == "none"
    nothing = ("recurrence_rule", "recurrence_anchor", "next_occurrence", "series_id", "occurrence")
    assert [ended[name] for name in nothing] == [None] * 5
    assert ended["due_date"] == task["due_date"]
    again = await ada.ask("POST", f"/tasks/{task['id']}/end-series")
    assert read(again) == ended
    assert [event["type"] for event in await api.events(task)] == [
        "taskflow.task.created",
        "taskflow.task.updated",
    ]


@pytest.mark.parametrize("below", ["skip", "end-series"])
async def test_if_match_guards_what_changes_a_series(ada: Person, below: str) -> None:
    task = await ada.create(**MONTHLY)
    stale = await ada.ask("POST", f"/tasks/{task['id']}/{below}", headers={"If-Match": '"9"'})
    problem(stale, 412, "precondition-failed")
    fresh = await ada.ask("POST", f"/tasks/{task['id']}/{below}", headers={"If-Match": '"1"'})
    assert fresh.headers["ETag"] == '"2"'


@pytest.mark.parametrize(
    ("method", "below"), [("GET", "occurrences"), ("POST", "skip"), ("POST", "end-series")]
)
async def test_the_series_of_another_user_is_not_there(
    ada: Person, bob: Person, method: str, below: str
) -> None:
    task = await ada.create(**MONTHLY)
    problem(await bob.ask(method, f"/tasks/{task['id']}/{below}"), 404, "not-found")
    problem(await ada.ask(method, f"/tasks/nothing/{below}"), 404, "not-found")
    other = await bob.client.request(
        method, ada.path(f"/tasks/{task['id']}/{below}"), headers=bob.bearer
    )
    problem(other, 404, "not-found")


@pytest.mark.parametrize(
    ("fields", "rule", "named"),
    [
        ({"recurrence_rule": "FREQ=DAILY"}, "format", "recurrence_pattern"),
        ({"recurrence_rule": "INTERVAL=2"}, "format", "recurrence_interval"),
        ({"recurrence_rule": "BYHOUR=9"}, "format", "BYHOUR"),
        ({"recurrence_rule": "BYDAY=1MO", "recurrence_pattern": "weekly"}, "fits_pattern", "BYDAY"),
        ({"recurrence_rule": "COUNT=2", "recurrence_pattern": "none"}, "fits_pattern", "none"),
        ({"recurrence_rule": "EXDATE=" + "20270101," * 60}, "max_length", "500"),
    ],
)
async def test_a_rule_that_is_not_taken_is_named(
    ada: Person, fields: dict[str, Any], rule: str, named: str
) -> None:
    task = await ada.create(**MONTHLY)
    whole = {"title": "x"} | MONTHLY | fields
    for answer in (
        await ada.ask("POST", json=whole),
        await ada.ask("PATCH", f"/tasks/{task['id']}", json=fields),
        await ada.ask("PUT", f"/tasks/{task['id']}", json=whole),
    ):
        assert broken(answer) == [("/recurrence_rule", rule)]
        assert named in answer.text


async def test_the_server_sets_the_anchor(ada: Person) -> None:
    answer = await ada.ask("POST", json={"title": "x", "recurrence_anchor": "2027-01-01"})
    assert broken(answer) == [("/recurrence_anchor", "read_only")]


async def test_a_task_that_is_overdue_is_skipped_to_today_or_later(ada: Person) -> None:
    task = await ada.create(recurrence_pattern="daily", due_date="2020-01-01")
    moved = read(await ada.ask("POST", f"/tasks/{task['id']}/skip"))
    assert moved["due_date"] >= str(datetime.now(UTC).date())
    assert moved["occurrence"] == 2
