"""Each write is one version of the task and one event that says the same."""

import json
from uuid import UUID

from schemas.events import Actor, ActorKind, TaskEventType
from schemas.tasks import Task
from streams.domain import tasks as domain
from streams.domain.overrides import client_fields
from streams.store.tasks import Origin, update_task
from tests.integration.api.world import Api, Json, Person, problem, read

ENDED = (
    "completed_at",
    "next_occurrence",
    "occurrence",
    "recurrence_anchor",
    "recurrence_pattern",
    "series_id",
    "status",
)
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def test_an_event_has_the_task_as_it_was_answered_byte_for_byte(
    api: Api, ada: Person
) -> None:
    odd = '"remind_at" : "2027-01-31T08:00:00.000000Z" \\ \u2028 😀 <é>'
    answers = [await ada.create(title=odd, remind_at="2027-01-31T08:00:00Z", tags=["ä", "b"])]
    answers.append(await ada.change(answers[0], description=odd, due_date="2027-01-31"))
    answers.append(await ada.change(answers[0], "PUT", title="x", recurrence_pattern="daily"))
    answers.append(read(await ada.ask("POST", f"/tasks/{answers[0]['id']}/complete")))
    events = await api.events(answers[0])
    assert answers[0]["remind_at"] == "2027-01-31T08:00:00Z"
    for answer, event in zip(answers, events, strict=True):
        assert json.dumps(event["data"]["task"]) == json.dumps(answer)


async def test_an_event_tells_who_did_it_where_when_and_in_which_trace(
    api: Api, ada: Person
) -> None:
    for sent, kept in ((TRACE, TRACE), ("00-1-2-03", None), (None, None)):
        headers = {"traceparent": sent} if sent else {}
        task = read(await ada.ask("POST", json={"title": "x"}, headers=headers))
        (event,) = await api.events(task)
        assert event["data"].keys() == {"task", "changed", "actor"}
        assert event["data"]["actor"] == {"kind": "user", "id": str(ada.id)}
        assert event["source"] == "/taskflow/api"
        assert event["user_id"] == ada.id
        assert event["event_id"].version == 7
        assert event["traceparent"] == kept
        assert event["occurred_at"] == Task.model_validate(task).updated_at


async def test_changed_names_all_fields_that_the_write_changed(api: Api, ada: Person) -> None:
    task = await ada.create(due_date="2027-01-31", recurrence_pattern="weekly")
    await ada.change(task, title="New", tags=["a"], priority="medium")
    await ada.change(task, due_date="2027-02-01")
    await ada.change(task, recurrence_pattern="none", status="completed")
    await ada.change(task, status="pending", description="d")
    await ada.ask("DELETE", f"/tasks/{task['id']}")
    told = [
        (event["type"].rpartition(".")[2], event["data"]["changed"])
        for event in await api.events(task)
    ]
    assert told == [
        ("created", []),
        ("updated", ["tags", "title"]),
        ("updated", ["due_date", "next_occurrence", "recurrence_anchor"]),
        (
            "completed",
            [*ENDED],
        ),
        ("reopened", ["completed_at", "description", "status"]),
        ("deleted", ["deleted_at"]),
    ]


async def test_a_write_that_changes_nothing_makes_no_version_and_no_event(
    api: Api, ada: Person
) -> None:
    task = await ada.create(title="Pay rent", tags=["home"], remind_at="2027-01-31T08:00:00Z")
    kept = {"title": " Pay rent ", "tags": ["HOME"], "remind_at": "2027-01-31T09:00:00+01:00"}
    for method, body in (
        ("PATCH", {}),
        ("PATCH", {"status": "pending"}),
        ("PATCH", kept),
        ("PUT", kept),
        ("PUT", kept | {"status": "pending", "priority": "medium", "due_date": None}),
    ):
        assert await ada.change(task, method, **body) == task
    assert read(await ada.ask("POST", f"/tasks/{task['id']}/reopen")) == task
    assert len(await api.events(task)) == 1


async def test_a_refused_write_leaves_no_trace(api: Api, ada: Person) -> None:
    task = await ada.create()
    below = f"/tasks/{task['id']}"
    stale = {"If-Match": '"7"'}
    for method in ("PUT", "PATCH"):
        body = {"title": "y", "tags": ["never"]}
        problem(await ada.ask(method, below, json=body, headers=stale), 412, "precondition-failed")
        assert (await ada.ask(method, below, json=body | {"priority": "?"})).status_code == 422
    for verb in ("/complete", "/reopen", ""):
        method = "POST" if verb else "DELETE"
        problem(await ada.ask(method, below + verb, headers=stale), 412, "precondition-failed")
    assert read(await ada.ask("GET", below)) == task
    assert len(await api.events(task)) == 1
    assert await tag_names(api, ada) == []


async def test_who_comes_too_late_to_a_task_makes_no_tags(api: Api, ada: Person) -> None:
    first = Task.model_validate(await ada.create())
    await ada.change(first.model_dump(mode="json"), title="Quicker")
    wanted = client_fields(first).model_copy(update={"tags": ("never",)})
    change = domain.Change(domain.Draft(wanted), TaskEventType.UPDATED, ("tags",))
    origin = Origin(Actor(kind=ActorKind.USER, id=str(ada.id)))
    assert await update_task(api.database, first, change, origin) is None
    assert await tag_names(api, ada) == []


async def test_a_version_and_its_event_are_written_by_one_transaction(
    api: Api, ada: Person
) -> None:
    task = await ada.create()
    for title in ("a", "b"):
        await ada.change(task, title=title, tags=[title])
        rows = await api.database.fetch(
            "SELECT change_xid::text AS of_task, outbox.xmin::text AS of_event FROM tasks"
            " JOIN outbox ON subject = tasks.id::text WHERE tasks.id = $1 ORDER BY seq",
            UUID(task["id"]),
        )
        assert rows[-1]["of_task"] == rows[-1]["of_event"]
        assert len({row["of_event"] for row in rows}) == len(rows)


async def test_a_task_and_its_links_to_tags_agree(api: Api, ada: Person) -> None:
    task = await ada.create(tags=["a", "b"])
    for tags in (["b", "c"], [], ["A", "d"]):
        changed = await ada.change(task, tags=tags)
        linked = await api.database.fetch(
            "SELECT name FROM todo_tags JOIN tags ON tags.id = tag_id WHERE todo_id = $1"
            " ORDER BY name_key",
            UUID(task["id"]),
        )
        assert changed["tags"] == [row["name"] for row in linked]
    assert await tag_names(api, ada) == ["a", "b", "c", "d"]


async def tag_names(api: Api, person: Person) -> list[str]:
    rows = await api.database.fetch(
        "SELECT name FROM tags WHERE user_id = $1 ORDER BY name_key", person.id
    )
    return [row["name"] for row in rows]


async def test_every_version_is_strictly_later_than_the_one_before(api: Api, ada: Person) -> None:
    task: Json = await ada.create()
    await api.database.fetch(
        "UPDATE tasks SET updated_at = '2999-01-01T00:00:00.999999Z' WHERE id = $1",
        UUID(task["id"]),
    )
    first, second = [await ada.change(task, title=title) for title in ("a", "b")]
    assert first["updated_at"] == "2999-01-01T00:00:01Z"
    assert second["updated_at"] == "2999-01-01T00:00:01.000001Z"
    assert task["created_at"] == second["created_at"]
