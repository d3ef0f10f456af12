"""What a user wishes of all reminders: an hour before by default, and what is planned follows."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.api.test_reminders import path, remind, reminders, soon, wish
from tests.integration.api.world import Api, Json, Person, problem, read

DUE = "2031-03-30"


async def instants(person: Person, task: Json) -> list[str | None]:
    return [item["fires_at"] for item in await reminders(person, task)]


async def settings_of(person: Person) -> Json:
    return read(await person.ask("GET", "/reminder-settings"))


async def test_null_switches_the_default_off_and_nothing_else_does(ada: Person) -> None:
    """Quiet hours alone change nothing of it, neither before it was switched off nor after."""
    for minutes in (60, None):
        if minutes is None:
            await wish(ada, default_before_due_minutes=None)
        await wish(ada, quiet_from="22:00", quiet_until="07:00")
        assert (await settings_of(ada))["default_before_due_minutes"] == minutes
        await wish(ada, quiet_from=None)
        assert (await settings_of(ada))["default_before_due_minutes"] == minutes
        task = await ada.create(due_date=DUE)
        assert len(await reminders(ada, task)) == (minutes is not None)


async def test_a_default_whose_instant_has_passed_does_not_fire_until_its_task_is_moved(
    ada: Person,
) -> None:
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    task = await ada.create(due_date=yesterday)
    assert await instants(ada, task) == [None]
    await ada.change(task, due_date=DUE)
    assert await instants(ada, task) == ["2031-03-30T08:00:00Z"]


async def test_a_default_that_was_taken_away_does_not_come_back(ada: Person) -> None:
    task = await ada.create(due_date=DUE)
    (made,) = await reminders(ada, task)
    await remind(ada, task, at=soon(days=1))
    assert (await ada.ask("DELETE", path(task, f"/{made['id']}"))).status_code == 204
    await ada.change(task, due_date="2031-04-01")
    assert [item["kind"] for item in await reminders(ada, task)] == ["absolute"]


async def test_those_by_default_follow_the_default_and_those_that_were_named_do_not(
    ada: Person,
) -> None:
    """Off, they do not fire; on again, they do. No version is made, and no event."""
    task = await ada.create(due_date=DUE)
    version = (await ada.change(task, title="Pay"))["version"]
    named = await remind(ada, task, before_due_minutes=60)
    await wish(ada, default_before_due_minutes=120)
    assert await instants(ada, task) == ["2031-03-30T07:00:00Z", named["fires_at"]]
    assert [item["before_due_minutes"] for item in await reminders(ada, task)] == [120, 60]
    await wish(ada, default_before_due_minutes=None)
    assert await instants(ada, task) == [None, named["fires_at"]]
    await ada.change(task, due_date="2031-03-29")
    assert await instants(ada, task) == [None, "2031-03-29T08:00:00Z"]
    await wish(ada, default_before_due_minutes=0)
    assert await instants(ada, task) == ["2031-03-29T09:00:00Z", "2031-03-29T08:00:00Z"]
    again = read(await ada.ask("GET", f"/tasks/{task['id']}"))
    assert again["version"] == version + 2


async def test_quiet_hours_move_what_is_planned_and_give_it_back(ada: Person) -> None:
    task = await ada.create(due_date=DUE)
    await wish(ada, quiet_from="01:00", quiet_until="08:30")
    assert await instants(ada, task) == ["2031-03-30T08:30:00Z"]
    await wish(ada, quiet_from=None)
    assert await instants(ada, task) == ["2031-03-30T08:00:00Z"]


@pytest.mark.parametrize("verb", ["complete", "reopen"])
async def test_a_task_that_comes_back_follows_the_default_by_then(ada: Person, verb: str) -> None:
    task = await ada.create(due_date=DUE)
    await ada.ask("POST", f"/tasks/{task['id']}/complete")
    await wish(ada, default_before_due_minutes=30)
    assert await instants(ada, task) == [None]
    await ada.ask("POST", f"/tasks/{task['id']}/{verb}")
    assert await instants(ada, task) == ["2031-03-30T08:30:00Z" if verb == "reopen" else None]


async def test_a_snoozed_one_stays_where_its_user_has_put_it(ada: Person) -> None:
    task = await ada.create(due_date=DUE)
    (made,) = await reminders(ada, task)
    answer = await ada.ask("POST", path(task, f"/{made['id']}/snooze"), json={"minutes": 5})
    await wish(ada, default_before_due_minutes=120, quiet_from="01:00", quiet_until="08:30")
    assert await instants(ada, task) == [read(answer)["fires_at"]]


async def test_nothing_is_moved_into_the_past(ada: Person) -> None:
    """What would have passed does not fire, unless the next wish has it to come again."""
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    task = await ada.create(due_date=tomorrow)
    await wish(ada, default_before_due_minutes=0)
    before = await instants(ada, task)
    await wish(ada, default_before_due_minutes=10_000)
    assert await instants(ada, task) == [None]
    await wish(ada, default_before_due_minutes=0)
    assert await instants(ada, task) == before != [None]


async def test_another_users_reminders_stay(ada: Person, bob: Person) -> None:
    task = await bob.create(due_date=DUE)
    await wish(ada, default_before_due_minutes=120)
    assert await instants(bob, task) == ["2031-03-30T08:00:00Z"]
    answer = await bob.ask("GET", "/reminder-settings")
    assert read(answer)["default_before_due_minutes"] == 60


async def test_two_who_change_different_wishes_at_once_lose_none(ada: Person) -> None:
    for minutes in range(10):
        await asyncio.gather(
            wish(ada, default_before_due_minutes=minutes),
            wish(ada, quiet_from="22:00", quiet_until=f"07:{minutes:02}"),
        )
        assert await settings_of(ada) == {
            "default_before_due_minutes": minutes,
            "quiet_from": "22:00",
            "quiet_until": f"07:{minutes:02}",
        }


@pytest.mark.parametrize("minutes", [-1, 525_601, "60", 1.5, True])
async def test_a_default_that_is_none_is_refused_by_its_name(ada: Person, minutes: object) -> None:
    answer = await ada.ask(
        "PATCH", "/reminder-settings", json={"default_before_due_minutes": minutes}
    )
    (error,) = problem(answer, 422, "validation")["errors"]
    assert error["field"] == "/default_before_due_minutes"
    assert (await settings_of(ada))["default_before_due_minutes"] == 60


async def test_the_wishes_of_an_account_that_is_gone_are_not_written(api: Api) -> None:
    person = await api.person()
    await api.database.fetch("DELETE FROM users WHERE id = $1", person.id)
    answer = await person.ask("PATCH", "/reminder-settings", json={})
    assert answer.status_code == 401, answer.text
