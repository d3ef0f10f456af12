"""`taskflow audit`, as a person or a program meets it."""

import json
from pathlib import Path
from uuid import uuid4

import pytest

from streams.store.database import Database
from tests.audit_world import append, entries_of
from tests.integration.cli.test_commands import taskflow

USERS = [uuid4(), uuid4()]
TAMPER = """
    UPDATE audit_entries SET content = replace(content, 'Task', 'Tusk')
     WHERE user_id = $1 AND position = 2 RETURNING id"""


@pytest.fixture
async def place(database: Database, database_url: str) -> dict[str, str]:
    """Give the environment of a command, and a trail."""
    await append(database, entries_of(USERS, 10))
    return {"DATABASE_URL": database_url}


async def test_a_sound_trail_is_said_to_be(place: dict[str, str]) -> None:
    done = await taskflow("audit", "verify", **place)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "10 entries of 2 users: nothing is wrong\n"
    done = await taskflow("audit", "verify", "--user", str(USERS[0]), **place)
    assert done.stdout == "5 entries of 1 users: nothing is wrong\n"
    done = await taskflow("audit", "verify", "--json", **place)
    told = {"ok": True, "users": 2, "entries": 10, "erased": 0, "findings": 0, "found": []}
    assert json.loads(done.stdout) == told


async def test_what_is_wrong_is_named_and_ends_with_1(
    place: dict[str, str], database: Database
) -> None:
    row = await database.fetchrow(TAMPER, USERS[0])
    assert row
    where = f"user {USERS[0]}, position 2 (entry {row['id']})"
    done = await taskflow("audit", "verify", **place)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"{where}: the content is not the one that was hashed",
        "10 entries of 2 users: 1 thing is wrong",
    ]
    done = await taskflow("audit", "verify", "--json", "--user", str(USERS[0]), **place)
    assert done.returncode == 1
    assert json.loads(done.stdout)["found"] == [
        {
            "user_id": str(USERS[0]),
            "position": 2,
            "entry_id": str(row["id"]),
            "fault": "content",
            "message": "the content is not the one that was hashed",
        }
    ]
    done = await taskflow("audit", "verify", "--user", str(USERS[1]), **place)
    assert done.returncode == 0


async def test_an_export_is_verified_without_a_database(
    place: dict[str, str], database: Database, tmp_path: Path
) -> None:
    """And one that was changed, or cut off, is not."""
    file = tmp_path / "file.jsonl"
    done = await taskflow("audit", "export", "--user", str(USERS[0]), **place)
    file.write_text(done.stdout)
    done = await taskflow("audit", "verify", "--file", str(file))
    assert (done.returncode, done.stdout) == (0, "5 entries of 1 users: nothing is wrong\n")
    whole = file.read_text()
    file.write_text(whole.replace("Task 2", "Tusk 2"))
    done = await taskflow("audit", "verify", "--file", str(file), "--json")
    assert done.returncode == 1
    assert [one["position"] for one in json.loads(done.stdout)["found"]] == [2]
    file.write_text(whole[: whole.index('{"head"')])
    done = await taskflow("audit", "verify", "--file", str(file))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{file}: line 6: /head: missing, the file was cut off\n"
    await database.fetch(TAMPER, USERS[0])
    done = await taskflow("audit", "export", "--user", str(USERS[0]), **place)
    file.write_text(done.stdout)
    assert (await taskflow("audit", "verify", "--file", str(file))).returncode == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["verify", "--user", "me"], "argument --user: must be a lower-case UUID"),
        (["export"], "the following arguments are required: --user"),
        (["verify", "--file", "/nonexistent"], "/nonexistent: [Errno 2] No such file or directory"),
    ],
)
async def test_what_cannot_be_done_is_one_sentence(words: list[str], sentence: str) -> None:
    done = await taskflow("audit", *words)
    assert done.returncode
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
