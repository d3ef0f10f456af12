"""The `taskflow` commands, as a person or a program meets them."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.settings import Settings
from schemas.topics import TOPICS
from tests.servers import Servers


async def taskflow(*words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "streams.cli", *words],
        env={"DATA_DIR": "/nonexistent", **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_migrations_go_up_and_down_and_tell_where_they_are(servers: Servers) -> None:
    """`down` without `--to` undoes one step, and asks before it loses data."""
    place = {"DATABASE_URL": servers.postgres.make_database("migrate_by_command")}

    async def applied() -> list[bool]:
        status = await taskflow("migrate", "status", "--json", **place)
        return [step["applied"] for step in json.loads(status.stdout)]

    assert not any(await applied())
    assert (await taskflow("migrate", "up", **place)).stdout.startswith("0001 accounts: applied\n")
    assert all(await applied())
    assert (await taskflow("migrate", "up", **place)).stdout == "Nothing to do.\n"
    unasked = await taskflow("migrate", "down", **place)
    assert (unasked.returncode, all(await applied())) == (1, True)
    await taskflow("migrate", "down", "--yes", **place)
    assert (await applied())[-2:] == [True, False]
    await taskflow("migrate", "down", "--to", "0", "--yes", **place)
    assert not any(await applied())


async def test_topics_are_made_once(settings: Settings) -> None:
    """The second call says that they are there."""
    place = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.required_bootstrap_servers(),
        "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
    }
    made = await taskflow("topics", **place)
    assert made.stdout.splitlines() == [f"{topic.name}: made" for topic in TOPICS]
    again = await taskflow("topics", **place)
    assert again.stdout.splitlines() == [f"{topic.name}: is there" for topic in TOPICS]


async def test_the_shapes_are_written_as_files(tmp_path: Path) -> None:
    """Each is JSON, and the documents refer to nothing that is not there."""
    done = await taskflow("schemas", "export", str(tmp_path / "shapes"))
    files = {path.name for path in (tmp_path / "shapes").iterdir()}
    assert {Path(line).name for line in done.stdout.splitlines()} == files
    assert {"asyncapi.json", "task.schema.json"} <= files
    for name in files:
        assert json.loads((tmp_path / "shapes" / name).read_text())


@pytest.mark.parametrize(
    ("words", "environment", "sentence"),
    [
        (["migrate", "status"], {}, "DATABASE_URL is not set."),
        (["topics"], {}, "KAFKA_BOOTSTRAP_SERVERS is not set."),
        (["watch"], {}, "TOKEN is not set"),
        (["register"], {"API_PORT": "1"}, "The API does not answer at http://127.0.0.1:1"),
        (["topics"], {"API_PORT": "x"}, "The setting API_PORT is not valid: "),
        (["migrate", "up"], {"DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x"}, "Connect"),
    ],
)
async def test_what_is_to_be_expected_is_one_sentence(
    words: list[str], environment: dict[str, str], sentence: str
) -> None:
    """It says what to do, without a traceback and without a secret."""
    done = await taskflow(*words, **environment)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence), done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


async def test_help_lists_every_command() -> None:
    done = await taskflow("--help")
    for name in (
        "up",
        "doctor",
        "down",
        "log",
        "reset",
        "migrate",
        "topics",
        "audit",
        "schemas",
        "register",
        "watch",
    ):
        assert f"\n    {name} " in done.stdout


async def test_a_reset_that_is_only_tried_deletes_nothing(tmp_path: Path) -> None:
    """And one that nobody agreed to."""
    (tmp_path / "kept").write_text("x")
    dry = await taskflow("reset", "--dry-run", DATA_DIR=str(tmp_path))
    assert (dry.returncode, "would be deleted" in dry.stdout) == (0, True)
    assert (await taskflow("reset", DATA_DIR=str(tmp_path))).returncode == 1
    assert (tmp_path / "kept").exists()
