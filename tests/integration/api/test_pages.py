"""Pages of tasks and of the audit log give every item exactly once, whatever happens meanwhile."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from schemas.ids import new_id
from streams.domain.audit_chain import NewEntry
from streams.store.audit import append_entries
from tests.integration.api.world import Api, Json, Person, broken, problem, read

COUNT = 7
LISTS = ["/tasks", "/audit"]


@pytest.mark.parametrize("limit", [1, 2, 6, 7, 8, 200])
@pytest.mark.parametrize("below", LISTS)
async def test_pages_of_any_size_give_every_item_once_newest_first(
    api: Api, ada: Person, below: str, limit: int
) -> None:
    made = await fill(api, ada, below)
    pages = await all_pages(ada, f"{below}?limit={limit}")
    assert [item["id"] for page in pages for item in page] == made[::-1]
    assert {len(page) for page in pages[:-1]} <= {limit}
    assert len(pages) == -(-COUNT // limit)


@pytest.mark.parametrize("below", LISTS)
async def test_items_of_one_instant_are_told_apart_by_their_ids(
    api: Api, ada: Person, below: str
) -> None:
    instant = datetime(2027, 1, 1, microsecond=1, tzinfo=UTC)
    made = await fill(api, ada, "/tasks")
    if below == "/tasks":
        update = "UPDATE tasks SET created_at = $1 WHERE user_id = $2"
        await api.database.fetch(update, instant, ada.id)
    else:
        tasks = [read(await ada.ask("GET", f"/tasks/{task}")) for task in made]
        same = [task | {"updated_at": instant.isoformat()} for task in tasks]
        made = await log(api, ada, same, "created")
    pages = await all_pages(ada, f"{below}?limit=2")
    assert [item["id"] for page in pages for item in page] == sorted(made, reverse=True)


@pytest.mark.parametrize("below", LISTS)
async def test_what_is_made_or_goes_meanwhile_moves_nothing_else(
    api: Api, ada: Person, below: str
) -> None:
    made = await fill(api, ada, below)
    seen: list[str] = []
    cursor = ""
    for _ in range(4):
        page = read(await ada.ask("GET", f"{below}?limit=2{cursor}"))
        seen += [item["id"] for item in page["items"]]
        cursor = f"&cursor={page['next_cursor']}"
        await fill(api, ada, below, 3)
        if below == "/tasks":
            assert (await ada.ask("DELETE", f"/tasks/{seen[-1]}")).status_code == 204
    assert page["next_cursor"] is None
    assert seen == made[::-1]


@pytest.mark.parametrize("below", LISTS)
async def test_fifty_is_what_a_page_has_without_a_limit(api: Api, ada: Person, below: str) -> None:
    assert read(await ada.ask("GET", below)) == {"items": [], "next_cursor": None}
    made = await fill(api, ada, below, 51)
    page = read(await ada.ask("GET", below))
    assert [item["id"] for item in page["items"]] == made[:0:-1]
    assert page["next_cursor"]


@pytest.mark.parametrize(
    ("query", "field", "rule"),
    [
        *((f"limit={bad}", "limit", "range") for bad in ("0", "201", "-1", "", "1.0", "1e1", "٣")),
        ("limit=1&limit=1", "limit", "once"),
        *((f"cursor={bad}", "cursor", "format") for bad in ("", "x", "null", "AAAA", "é", "%00")),
        (f"cursor={'_' * 32}", "cursor", "format"),
        ("cursor=a&cursor=b", "cursor", "once"),
        ("offset=1", "offset", "unknown_parameter"),
        ("Limit=1", "Limit", "unknown_parameter"),
        (f"{'x' * 5_000}=1", "x" * 100, "unknown_parameter"),
    ],
)
async def test_a_parameter_that_is_unknown_or_bad_is_422(
    ada: Person, query: str, field: str, rule: str
) -> None:
    for below in LISTS:
        assert broken(await ada.ask("GET", f"{below}?{query}")) == [(field, rule)]


async def test_a_cursor_that_somebody_changed_is_422(ada: Person) -> None:
    for title in ("a", "b"):
        await ada.create(title=title)
    cursor = read(await ada.ask("GET", "/tasks?limit=1"))["next_cursor"]
    for changed in (cursor + "!", cursor[:-1], cursor + "A", f"{cursor}=", f" {cursor}"):
        answer = await ada.ask("GET", "/tasks", params={"cursor": changed})
        assert broken(answer) == [("cursor", "format")]
    assert len(read(await ada.ask("GET", f"/tasks?cursor={cursor}"))["items"]) == 1


async def test_the_audit_log_shows_each_event_with_the_task_as_it_was(
    api: Api, ada: Person
) -> None:
    task = await ada.create(remind_at="2027-01-31T08:00:00Z", tags=["home"])
    (entry_id,) = await log(api, ada, [task], "created")
    (entry,) = read(await ada.ask("GET", "/audit"))["items"]
    event_id = UUID(entry.pop("event_id"))
    assert event_id.version == 7
    assert entry == {
        "id": entry_id,
        "event_type": "created",
        "task_id": task["id"],
        "task_data": task,
        "timestamp": task["updated_at"],
    }


async def test_the_audit_log_is_narrowed_by_task_and_by_any_of_some_types(
    api: Api, ada: Person
) -> None:
    one, other = await ada.create(), await ada.create()
    ids = {
        (name, verb): (await log(api, ada, [task], verb))[0]
        for name, task in (("one", one), ("other", other))
        for verb in ("created", "updated", "deleted")
    }

    async def found(query: str) -> set[str]:
        return {item["id"] for item in read(await ada.ask("GET", f"/audit?{query}"))["items"]}

    assert await found("") == set(ids.values())
    assert await found(f"task_id={one['id']}") == {ids["one", v] for _, v in ids}
    wanted = {ids[n, v] for n, v in ids if v != "updated"}
    assert await found("event_type=created&event_type=deleted") == wanted
    both = f"task_id={one['id']}&event_type=updated"
    assert await found(both) == {ids["one", "updated"]}
    assert await found("event_type=restored") == set()
    assert len(await all_pages(ada, f"/audit?task_id={one['id']}&limit=1")) == 3


@pytest.mark.parametrize(
    ("query", "field"),
    [("task_id=42", "task_id"), ("task_id=", "task_id")]
    + [(f"event_type={bad}", "event_type") for bad in ("purged", "", "Created", "a%00")],
)
async def test_an_audit_filter_that_means_nothing_is_422(
    ada: Person, query: str, field: str
) -> None:
    assert [name for name, _ in broken(await ada.ask("GET", f"/audit?{query}"))] == [field]


async def test_the_audit_log_of_a_task_is_for_its_user_alone(
    api: Api, ada: Person, bob: Person
) -> None:
    task = await ada.create()
    await log(api, ada, [task], "created")
    assert read(await bob.ask("GET", f"/audit?task_id={task['id']}"))["items"] == []
    theirs = Person(ada.id, bob.token, bob.client)
    problem(await theirs.ask("GET", f"/audit?task_id={task['id']}"), 404, "not-found")


async def fill(api: Api, person: Person, below: str, count: int = COUNT) -> list[str]:
    """Make items for a list, and give their ids, the oldest first."""
    tasks = [await person.create(title=f"T{number}") for number in range(count)]
    if below == "/tasks":
        return [task["id"] for task in tasks]
    return await log(api, person, tasks, "created")


async def log(api: Api, person: Person, tasks: Sequence[Json], verb: str) -> list[str]:
    """Append entries as the audit worker does, and give their ids."""
    entries = [
        NewEntry(
            id=new_id(),
            user_id=person.id,
            event_type=verb,
            task_id=UUID(task["id"]),
            task_data=task,
            event_id=new_id(),
            happened_at=datetime.fromisoformat(task["updated_at"]),
        )
        for task in tasks
    ]
    async with api.database.transaction() as session:
        await append_entries(session, entries)
    return [str(entry.id) for entry in entries]


async def all_pages(person: Person, below: str) -> list[list[Any]]:
    pages: list[list[Any]] = []
    cursor = ""
    while len(pages) <= COUNT:
        page = read(await person.ask("GET", below + cursor))
        pages.append(page["items"])
        if page["next_cursor"] is None:
            return pages
        cursor = f"&cursor={page['next_cursor']}"
    raise AssertionError(f"more than {COUNT} pages")
