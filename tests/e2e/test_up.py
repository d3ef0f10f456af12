"""`make up`: one command starts everything, and one ends all of it."""

import asyncio
import signal
import socket
import urllib.request

import pytest

from streams.store.database import open_database
from tests.e2e.instance import Up, command_of, wait

GONE_S_MAX = 20.0


def is_ready(up: Up) -> bool:
    """Tell whether API and gateway are ready, and with them database and log."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for setting in ("API_PORT", "GATEWAY_PORT"):
            url = f"http://127.0.0.1:{up.environment[setting]}/health/ready"
            opener.open(url, timeout=5).close()
    except OSError:
        return False
    return True


def test_a_signal_while_it_starts_ends_it_too(fresh: Up) -> None:
    """What was started by then is ended."""
    fresh.start()
    wait(lambda: len(fresh.processes()) > 0, 30, "something was started")
    assert fresh.end(signal.SIGTERM) == 1
    assert fresh.processes() == []


def test_a_killed_supervisor_is_recovered_by_the_next_start(fresh: Up) -> None:
    """What it left is ended, whatever it was; the data is as it was; `down` ends it elsewhere."""
    fresh.start().wait_until_up()
    before = fresh.run("register")
    assert before.returncode == 0, before.stderr
    fresh.end(signal.SIGKILL)
    left = fresh.processes()
    assert len(left) >= 6
    fresh.start().wait_until_up()
    assert not any(process.is_running() for process in left)
    user_id = before.stdout.partition("USER_ID=")[2].split()[0]
    token = before.stdout.partition("TOKEN=")[2].split()[0]
    request = urllib.request.Request(
        f"http://127.0.0.1:{fresh.environment['API_PORT']}/api/auth/me",
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        assert user_id in answer.read().decode()
    down = fresh.run("down")
    assert (down.returncode, fresh.wait(), fresh.processes()) == (0, 0, [])
    assert "has stopped" in fresh.output
    assert not (fresh.directory / "env").exists()


@pytest.mark.long
def test_down_ends_what_a_killed_supervisor_left(fresh: Up) -> None:
    """It says how many processes that were."""
    fresh.start().wait_until_up()
    fresh.end(signal.SIGKILL)
    done = fresh.run("down")
    assert (done.returncode, fresh.processes()) == (0, [])
    assert "that were left" in done.stdout
    assert fresh.run("down").stdout == "Nothing runs here.\n"


def test_a_second_start_is_refused_with_one_sentence(instance: Up) -> None:
    """The first one goes on."""
    second = instance.run("up")
    assert second.returncode == 1
    assert f"already runs in {instance.directory} (process {instance.process.pid})" in second.stderr
    assert second.stderr.count("\n") == 1
    assert is_ready(instance)


@pytest.mark.parametrize("setting", ["API_PORT", "GATEWAY_PORT"])
def test_a_taken_port_is_one_sentence_and_nothing_is_started(fresh: Up, setting: str) -> None:
    """It names the setting."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(fresh.environment[setting])))
        taken.listen()
        assert fresh.start().wait() == 1
    assert fresh.output == (
        f"Port {fresh.environment[setting]} is taken: end what listens there, or set {setting}"
        " to another port.\n"
    )
    assert not (fresh.directory / "postgres").exists()
    assert fresh.processes() == []


@pytest.mark.parametrize("file", ["postgres/data/PG_VERSION", "kafka/VERSION"])
def test_data_of_another_version_is_refused_and_left_alone(fresh: Up, file: str) -> None:
    """The sentence says what to do."""
    path = fresh.directory / file
    path.parent.mkdir(parents=True)
    path.write_text("9")
    assert fresh.start().wait() == 1
    assert "run the version of TaskFlow that made it, or `make reset`" in fresh.output
    assert fresh.output.count("\n") == 1
    assert path.read_text() == "9"
    assert fresh.processes() == []


def test_reset_deletes_the_data_only_if_somebody_agrees(fresh: Up) -> None:
    """Without a terminal it asks nobody, and does nothing."""
    (fresh.directory / "kafka").mkdir()
    refused = fresh.run("reset", answer="y\n")
    assert (refused.returncode, fresh.directory.exists()) == (1, True)
    assert "--yes" in refused.stderr
    assert fresh.run("reset", "--yes").returncode == 0
    assert not fresh.directory.exists()


def test_reset_does_not_touch_an_instance_that_runs(instance: Up) -> None:
    """It says who runs."""
    refused = instance.run("reset", "--yes")
    assert (refused.returncode, "already runs" in refused.stderr) == (1, True)
    assert is_ready(instance)


@pytest.mark.parametrize(
    "words", ["-m api", "-m gateway", "-m streams.relay", "streams.audit", "kafka.Kafka"]
)
def test_a_process_that_dies_is_started_again(instance: Up, words: str) -> None:
    """The supervisor says so, and everything is ready again."""
    killed = instance.process_of(words)
    killed.kill()

    def replaced() -> bool:
        return any(words in command_of(p) and p.pid != killed.pid for p in instance.processes())

    wait(replaced, GONE_S_MAX, f"{words} runs again")
    wait(lambda: is_ready(instance), 30, "all is ready again")
    assert "starts again" in instance.output


def test_other_commands_find_the_instance(instance: Up) -> None:
    """Its addresses are in a file for its owner alone, while it runs."""
    file = instance.directory / "env"
    assert file.stat().st_mode & 0o777 == 0o600
    status = instance.run("migrate", "status")
    assert (status.returncode, "missing" in status.stdout) == (0, False)
    assert "task-events: is there" in instance.run("topics").stdout


def test_without_an_instance_a_command_says_what_to_set(fresh: Up) -> None:
    """One sentence, and no traceback."""
    done = fresh.run("migrate", "status")
    assert done.returncode == 1
    assert done.stderr.startswith("DATABASE_URL is not set.")
    assert done.stderr.count("\n") == 1


@pytest.mark.long
async def test_servers_that_are_given_are_used_and_none_is_started(instance: Up, fresh: Up) -> None:
    """The schema and the topics are made there."""
    lines = (instance.directory / "env").read_text().splitlines()
    given = dict(line.split("=", 1) for line in lines)
    async with open_database(given["DATABASE_URL"]) as database:
        await database.fetch("CREATE DATABASE given")
    fresh.environment = {
        **fresh.environment,
        "DATABASE_URL": given["DATABASE_URL"].rpartition("/")[0] + "/given",
        "KAFKA_BOOTSTRAP_SERVERS": given["KAFKA_BOOTSTRAP_SERVERS"],
        "KAFKA_TOPIC_PREFIX": "given.",
    }
    await asyncio.to_thread(lambda: fresh.start().wait_until_up())
    commands = [command_of(process) for process in fresh.processes()]
    assert not [command for command in commands if "kafka.Kafka" in command]
    assert not (fresh.directory / "postgres").exists()
    assert "API_URL" in (await asyncio.to_thread(fresh.run, "register")).stdout
    assert await asyncio.to_thread(fresh.end) == 0


def test_what_is_secret_is_for_its_owner_alone(instance: Up) -> None:
    """The folder is closed to all others, and each file with a secret is closed by itself too."""
    folder = instance.directory
    assert folder.stat().st_mode & 0o777 == 0o700
    for name in ("env", "jwt_secret", "channel_key", "postgres/password"):
        assert (folder / name).stat().st_mode & 0o777 == 0o600, name
    secrets = [(folder / name).read_text().strip() for name in ("jwt_secret", "channel_key")]
    for path in folder.rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077 and path.stat().st_size < 1_000_000:
            text = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in text], path
