"""The audit trail goes over HTTP with its proof, to its user and nobody else."""

import json

import pytest

from streams.domain.audit_chain import Counts
from streams.domain.audit_file import check_lines
from streams.store import audit_proof
from streams.store.audit import erase_content
from tests.audit_world import append, entries_of
from tests.integration.api.world import Api, Person, broken, problem, read


async def test_an_export_has_every_entry_and_proves_itself(
    api: Api, ada: Person, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In as many pieces as it takes."""
    monkeypatch.setattr(audit_proof, "EXPORT_PAGE", 3)
    await append(api.database, entries_of([ada.id, bob.id], 20))
    answer = await ada.ask("GET", "/audit/export")
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    counts = Counts()
    assert list(check_lines(iter(answer.content.splitlines(keepends=True)), counts)) == []
    assert (counts.users, counts.entries) == (1, 10)
    contents = [json.loads(line).get("content") for line in answer.text.splitlines()[:-1]]
    listed = read(await ada.ask("GET", "/audit"))["items"]
    assert sorted(json.loads(each)["id"] for each in contents) == sorted(i["id"] for i in listed)


async def test_whoever_has_no_entries_gets_the_head_alone(ada: Person) -> None:
    (line,) = (await ada.ask("GET", "/audit/export")).text.splitlines()
    assert json.loads(line)["head"]["position"] == 0


async def test_what_was_erased_is_not_shown(api: Api, ada: Person) -> None:
    await append(api.database, entries_of([ada.id], 3))
    async with api.database.transaction() as session:
        await erase_content(session, ada.id)
    assert read(await ada.ask("GET", "/audit"))["items"] == []
    assert "Task" not in (await ada.ask("GET", "/audit/export")).text


async def test_an_export_is_for_its_user_and_takes_no_parameters(ada: Person, bob: Person) -> None:
    theirs = Person(ada.id, bob.token, bob.client)
    problem(await theirs.ask("GET", "/audit/export"), 404, "not-found")
    problem(await ada.ask("POST", "/audit/export"), 405, "method-not-allowed")
    assert broken(await ada.ask("GET", "/audit/export?limit=1")) == [("limit", "unknown_parameter")]
