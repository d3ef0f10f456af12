"""Reminders beside a task's own: made, moved with the due day, snoozed, and nobody else's."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api.world import Api, Json, Person, read

DUE = "2031-03-30"


def path(task: Json, below: str = "") -> str:
    return f"/tasks/{task['id']}/reminders{below}"


async def reminders(person: Person, task: Json) -> list[Json]:
    answer = await person.ask("GET", path(task))
    assert answer.status_code == 200
    items: list[Json] = read(answer)["items"]
    return items


async def remind(person: Person, task: Json, **body: object) -> Json:
    answer = await person.ask("POST", path(task), json=body)
    assert answer.status_code == 201, answer.text
    return read(answer)


def soon(**after: float) -> str:
    return (datetime.now(UTC) + timedelta(**after)).isoformat().replace("+00:00", "Z")


async def wish(person: Person, **settings: object) -> Json:
    answer = await person.ask("PATCH", "/reminder-settings", json=settings)
    assert answer.status_code == 200, answer.text
    return read(answer)


async def test_a_tasks_own_reminder_and_others_are_listed(api: Api, ada: Person) -> None:
    """Making one is a version of the task with one event."""
    at = soon(days=1)
    task = await ada.create(due_date=DUE, remind_at=at)
    first, second = (
        await remind(ada, task, at=soon(days=2)),
        await remind(ada, task, before_due_minutes=60),
    )
    items = await reminders(ada, task)
    assert [item["kind"] for item in items] == ["task", "absolute", "before_due"]
    assert [item["id"] for item in items] == [task["id"], first["id"], second["id"]]
    assert all(datetime.fromisoformat(item["fires_at"]) > datetime.now(UTC) for item in items)
    assert datetime.fromisoformat(items[0]["fires_at"]) == datetime.fromisoformat(at)
    events = await api.events(task)
    assert [event["data"]["task"]["version"] for event in events] == [1, 2, 3]
    assert events[2]["data"]["changed"] == ["reminders"]


@pytest.mark.parametrize(
    ("zone", "due_on", "fires_at"),
    [
        ("UTC", "2031-03-30", "2031-03-30T08:00:00Z"),
        ("Europe/Berlin", "2031-03-29", "2031-03-29T07:00:00Z"),
        ("Europe/Berlin", "2031-03-30", "2031-03-30T06:00:00Z"),
        ("America/New_York", "2031-03-30", "2031-03-30T12:00:00Z"),
    ],
)
async def test_an_hour_before_due_is_eight_in_the_morning_of_the_users_zone(
    api: Api, zone: str, due_on: str, fires_at: str
) -> None:
    """Across the change to summer time too; it moves with the due day."""
    person = await api.person(zone)
    task = await person.create(due_date="2031-01-01")
    await remind(person, task, before_due_minutes=60)
    await person.change(task, due_date=due_on)
    assert (await reminders(person, task))[0]["fires_at"] == fires_at
    await person.change(task, due_date=None)
    assert (await reminders(person, task))[0]["fires_at"] is None


async def test_completed_nothing_is_planned_and_reopened_what_is_to_come_is(ada: Person) -> None:
    task = await ada.create(due_date=DUE, remind_at=soon(days=1))
    await remind(ada, task, before_due_minutes=60)
    before = await reminders(ada, task)
    await ada.ask("POST", f"/tasks/{task['id']}/complete")
    assert [item["fires_at"] for item in await reminders(ada, task)] == [None, None]
    answer = await ada.ask("POST", path(task, f"/{task['id']}/snooze"), json={"minutes": 5})
    assert answer.status_code == 409
    await ada.ask("POST", f"/tasks/{task['id']}/reopen")
    assert await reminders(ada, task) == before


async def test_snoozed_it_fires_so_long_from_now(ada: Person) -> None:
    """Also the task's own, whose `remind_at` stays as it is."""
    at = soon(days=1)
    task = await ada.create(remind_at=at)
    answer = await ada.ask("POST", path(task, f"/{task['id']}/snooze"), json={"minutes": 5})
    assert answer.status_code == 200
    pause = datetime.fromisoformat(read(answer)["fires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=4) < pause <= timedelta(minutes=5)
    assert datetime.fromisoformat(read(answer)["at"]) == datetime.fromisoformat(at)


async def test_one_is_deleted_and_the_tasks_own_goes_with_remind_at(ada: Person) -> None:
    task = await ada.create(remind_at=soon(days=1))
    made = await remind(ada, task, at=soon(days=2))
    for status in (204, 404):
        answer = await ada.ask("DELETE", path(task, f"/{made['id']}"))
        assert answer.status_code == status
    assert (await ada.ask("DELETE", path(task, f"/{task['id']}"))).status_code == 409
    await ada.change(task, remind_at=None)
    assert await reminders(ada, task) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"at": "2031-01-01T00:00:00Z", "before_due_minutes": 5},
        {"at": "2001-01-01T00:00:00Z"},
        {"before_due_minutes": -1},
        {"before_due_minutes": 525_601},
        {"before_due_minutes": "5"},
        {"at": "tomorrow"},
        {"before_due_minutes": 5, "kind": "task"},
    ],
)
async def test_what_is_no_reminder_is_refused(ada: Person, body: Json) -> None:
    """And makes no version."""
    task = await ada.create(due_date=DUE)
    answer = await ada.ask("POST", path(task), json=body)
    assert answer.status_code == 422
    again = read(await ada.ask("GET", f"/tasks/{task['id']}"))
    assert again["version"] == 1


async def test_a_task_has_at_most_twenty(ada: Person) -> None:
    task = await ada.create(due_date=DUE)
    for minutes in range(19):  # and the one by default
        await remind(ada, task, before_due_minutes=minutes)
    answer = await ada.ask("POST", path(task), json={"before_due_minutes": 99})
    assert answer.status_code == 422


async def test_another_users_are_not_there(ada: Person, bob: Person) -> None:
    """Not listed, made, snoozed or deleted; nor by the wrong task of one's own."""
    task = await ada.create()
    made = await remind(ada, task, before_due_minutes=60)
    own = await bob.create()
    for method, below, body in (
        ("GET", path(task), None),
        ("POST", path(task), {"before_due_minutes": 5}),
        ("DELETE", path(task, f"/{made['id']}"), None),
        ("DELETE", path(own, f"/{made['id']}"), None),
        ("POST", path(task, f"/{made['id']}/snooze"), {"minutes": 5}),
        ("POST", path(own, f"/{made['id']}/snooze"), {"minutes": 5}),
    ):
        answer = await bob.ask(method, below, **({"json": body} if body else {}))
        assert answer.status_code == 404, (method, below)
    assert len(await reminders(ada, task)) == 1


async def test_a_version_that_is_not_the_tasks_is_refused(ada: Person) -> None:
    task = await ada.create()
    body, wrong = {"before_due_minutes": 5}, {"If-Match": '"2"'}
    answer = await ada.ask("POST", path(task), json=body, headers=wrong)
    assert answer.status_code == 412
    assert await reminders(ada, task) == []


@pytest.mark.parametrize("settings", [None, {"default_before_due_minutes": 60}])
async def test_an_hour_before_is_the_default_of_what_gets_a_due_day_and_has_no_reminder(
    ada: Person, settings: Json | None
) -> None:
    """Whether its user has said so or nothing."""
    if settings is not None:
        await wish(ada, **settings)
    task = await ada.create(due_date=DUE)
    (only,) = await reminders(ada, task)
    assert (only["kind"], only["fires_at"]) == ("before_due", "2031-03-30T08:00:00Z")
    later = await ada.create()
    assert await reminders(ada, later) == []
    await ada.change(later, due_date=DUE)
    assert len(await reminders(ada, later)) == 1
    has_one = await ada.create(due_date=DUE, remind_at=soon(days=1))
    assert [item["kind"] for item in await reminders(ada, has_one)] == ["task"]


@pytest.mark.parametrize(
    ("quiet", "minutes", "fires_at"),
    [
        (("22:00", "07:30"), 60, "2031-03-30T08:00:00Z"),
        (("22:00", "07:30"), 120, "2031-03-30T07:30:00Z"),
        (("22:00", "07:30"), 600, "2031-03-30T07:30:00Z"),
        (("22:00", "07:30"), 690, "2031-03-29T21:30:00Z"),
        (("01:00", "08:30"), 60, "2031-03-30T08:30:00Z"),
        (("01:00", "08:00"), 60, "2031-03-30T08:00:00Z"),
    ],
)
async def test_what_falls_into_quiet_hours_waits_for_their_end(
    ada: Person, quiet: tuple[str, str], minutes: int, fires_at: str
) -> None:
    """An instant that the user named is kept."""
    await wish(ada, quiet_from=quiet[0], quiet_until=quiet[1])
    task = await ada.create(due_date=DUE)
    made = await remind(ada, task, before_due_minutes=minutes)
    assert made["fires_at"] == fires_at
    named = await remind(ada, task, at="2031-03-30T03:00:00Z")
    assert named["fires_at"] == "2031-03-30T03:00:00Z"


async def test_wishes_are_merged_and_quiet_hours_are_one_wish(ada: Person) -> None:
    async def patch(body: Json) -> tuple[int, Json]:
        answer = await ada.ask("PATCH", "/reminder-settings", json=body)
        return answer.status_code, read(answer)

    none = {"default_before_due_minutes": 60, "quiet_from": None, "quiet_until": None}
    assert read(await ada.ask("GET", "/reminder-settings")) == none
    await patch({"default_before_due_minutes": 30})
    status, wishes = await patch({"quiet_from": "22:00", "quiet_until": "07:00"})
    assert status == 200
    assert wishes["default_before_due_minutes"] == 30
    assert wishes["quiet_from"] == "22:00"
    assert read(await ada.ask("GET", "/reminder-settings")) == wishes
    for bad in (
        {"quiet_from": "23:00"},
        {"quiet_from": "7:00", "quiet_until": "08:00"},
        {"quiet_from": "07:00", "quiet_until": "07:00"},
        {"quiet": True},
    ):
        assert (await patch(bad))[0] == 422
    status, wishes = await patch({"quiet_from": None})
    assert wishes == none | {"default_before_due_minutes": 30}
