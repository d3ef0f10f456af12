"""Many at once: no version is lost or made twice, and nobody is turned away."""

import asyncio
from collections import Counter

from tests.integration.api.world import Api, Json, Person, read

MANY = 50


async def test_patches_at_once_give_every_version_once_and_events_in_their_order(
    api: Api, ada: Person
) -> None:
    task = await ada.create()
    made = await asyncio.gather(*(ada.change(task, title=f"T{n}") for n in range(MANY)))
    versions = list(range(1, MANY + 2))
    assert sorted(answer["version"] for answer in made) == versions[1:]
    events = await api.events(task)
    assert [event["data"]["task"]["version"] for event in events] == versions
    instants = [event["data"]["task"]["updated_at"] for event in events]
    assert len(set(instants)) == len(instants)
    assert instants == sorted(instants)
    last = max(made, key=lambda answer: answer["version"])
    assert read(await ada.ask("GET", f"/tasks/{task['id']}")) == last


async def test_patches_of_different_fields_at_once_all_count(ada: Person) -> None:
    task = await ada.create()
    fields: list[Json] = [
        {"title": "New"},
        {"description": "d"},
        {"priority": "low"},
        {"tags": ["a"]},
    ] * 5
    await asyncio.gather(*(ada.change(task, **field) for field in fields))
    now = read(await ada.ask("GET", f"/tasks/{task['id']}"))
    assert (now["title"], now["description"], now["priority"]) == ("New", "d", "low")
    assert (now["tags"], now["version"]) == (["a"], 5)


async def test_of_many_with_one_etag_one_gets_through(ada: Person) -> None:
    task = await ada.create()
    answers = await asyncio.gather(
        *(
            ada.ask(
                "PATCH",
                f"/tasks/{task['id']}",
                json={"title": f"T{n}"},
                headers={"If-Match": '"1"'},
            )
            for n in range(20)
        )
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}


async def test_completing_at_once_completes_once(api: Api, ada: Person) -> None:
    task = await ada.create()
    answers = await asyncio.gather(
        *(ada.ask("POST", f"/tasks/{task['id']}/complete") for _ in range(20))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.content for answer in answers}) == 1
    assert len(await api.events(task)) == 2


async def test_deleting_at_once_deletes_once(api: Api, ada: Person) -> None:
    task = await ada.create()
    answers = await asyncio.gather(*(ada.ask("DELETE", f"/tasks/{task['id']}") for _ in range(10)))
    assert Counter(answer.status_code for answer in answers) == {204: 1, 404: 9}
    assert len(await api.events(task)) == 2


async def test_new_tags_made_at_once_are_made_once_and_none_is_lost(api: Api, ada: Person) -> None:
    names = ["alpha", "Beta", "gamma", "Delta"]
    made = await asyncio.gather(
        *(ada.create(tags=names if n % 2 else names[::-1]) for n in range(MANY))
    )
    wanted = ["alpha", "Beta", "Delta", "gamma"]
    assert [task["tags"] for task in made] == [wanted] * MANY
    rows = await api.database.fetch("SELECT name FROM tags WHERE user_id = $1", ada.id)
    assert sorted(row["name"] for row in rows) == sorted(names)


async def test_tasks_that_take_each_others_tags_at_once_never_wait_for_each_other(
    ada: Person,
) -> None:
    one, other = await ada.create(), await ada.create()
    changes = [
        ada.change(task, tags=[f"{name}{n % 3}" for name in names])
        for n in range(20)
        for task, names in ((one, "abc"), (other, "cba"))
    ]
    async with asyncio.timeout(5):
        await asyncio.gather(*changes)
