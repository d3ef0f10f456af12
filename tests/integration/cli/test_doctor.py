"""`taskflow doctor`: all is well, or each thing that is not is named with its cure."""

from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.cli import looking_at_files
from streams.cli.findings import Level
from streams.cli.looking_at_files import look_at_files
from streams.cli.looking_at_servers import _clocks
from streams.store.database import Database
from streams.store.migrations import migrate_down
from streams.transport.opening import open_transport
from tests.operating import taskflow


@pytest.fixture
def environment(settings: Settings, tmp_path: Path) -> dict[str, str]:
    assert settings.jwt_secret is not None
    return {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings.required_database_url(),
        "KAFKA_BOOTSTRAP_SERVERS": settings.required_bootstrap_servers(),
        "KAFKA_TOPIC_PREFIX": settings.kafka_topic_prefix,
        "KAFKA_PARTITIONS": "4",
        "JWT_SECRET": settings.jwt_secret.get_secret_value(),
        "CHANNEL_KEYS": settings.jwt_secret.get_secret_value(),
    }


async def levels(environment: dict[str, str]) -> tuple[int, dict[str, set[str]]]:
    done = await taskflow(environment, "doctor", "--json")
    found: list[dict[str, Any]] = done.json()
    by_level: dict[str, set[str]] = {}
    for one in found:
        assert one["cure"] or one["level"] == "ok"
        by_level.setdefault(one["level"], set()).add(one["what"])
    return done.code, by_level


async def test_a_healthy_deployment_is_well(
    environment: dict[str, str], settings: Settings, database: Database
) -> None:
    """Every kind of thing was looked at; three clocks were compared."""
    async with open_transport(settings) as transport:
        await transport.create_topics(TOPICS)
    code, found = await levels(environment)
    assert (code, found.get("bad"), found.get("warn", set()) - {"disk"}) == (0, None, set())
    looked_at = {"settings", "database", "schema", "log", "topics", "clocks", "secret files"}
    assert found["ok"] >= looked_at
    text = await taskflow(environment, "doctor")
    assert "the clock of the log is" in text.out
    assert "from that of the database" in text.out
    assert await database.fetch("SELECT FROM operator_log") == []


async def test_what_is_not_well_is_told_with_its_cure(
    environment: dict[str, str], database: Database, tmp_path: Path
) -> None:
    """A schema that is behind, missing topics, a secret that everybody reads; exit code 1."""
    await migrate_down(database, 3)
    (tmp_path / "env").write_text("JWT_SECRET=x\n")
    (tmp_path / "env").chmod(0o644)
    code, found = await levels(environment)
    assert code == 1
    assert found["bad"] == {"schema", "topics", "secret files"}
    text = (await taskflow(environment, "doctor")).out
    for cure in ("taskflow migrate up", "taskflow topics", f"chmod 600 {tmp_path / 'env'}"):
        assert f"cure: {cure}\n" in text


async def test_servers_that_are_away_and_settings_that_are_missing_are_told(
    environment: dict[str, str],
) -> None:
    """Without a secret, and without a traceback."""
    away = {
        "DATA_DIR": environment["DATA_DIR"],
        "DATABASE_URL": "postgresql://u:secret@127.0.0.1:1/x",
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
    }
    done = await taskflow(away, "doctor")
    assert done.code == 1
    assert "bad   settings: JWT_SECRET is not set" in done.out
    assert "bad   database: Connect" in done.out
    assert "bad   log: " in done.out
    assert "secret@" not in done.out + done.errors
    assert "Traceback" not in done.errors
    invalid = await taskflow({**away, "API_PORT": "x"}, "doctor")
    assert (invalid.code, invalid.out.startswith("bad   settings: API_PORT")) == (1, True)


def test_clocks_that_are_apart_are_warned_of() -> None:
    """Each two of them, and not only from this machine's."""
    found = {one.text: one.level for one in _clocks({"the database": 0.8, "the log": -0.7})}
    assert list(found.values()).count(Level.WARN) == 1
    assert found["the clock of the log is -1.50 s from that of the database"] is Level.WARN


def test_a_disk_that_is_nearly_full_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking_at_files, "FREE_GIB_BAD", 10**9)
    disk = next(iter(look_at_files(settings)))
    assert (disk.what, disk.level) == ("disk", Level.BAD)
    monkeypatch.setattr(looking_at_files, "FREE_GIB_BAD", 0)
    monkeypatch.setattr(looking_at_files, "FREE_GIB_WARN", 10**9)
    assert next(iter(look_at_files(settings))).level is Level.WARN
