"""The runbook is true: it knows every metric and every check, and its commands are there."""

import os
import re
import shlex
import sys
from pathlib import Path

import prometheus_client
import pytest

from gateway import feed, resume, tail
from streams.cli.main import main
from streams.observability import metrics
from tests.operating import Done, run

PAGE = Path("docs/operations.md").read_text()
COMMAND = re.compile(r"^(?:taskflow|faust -A streams\.[a-z]+) .*$")
WORKERS = re.findall(r"faust -A streams\.([a-z]+) worker", Path("Procfile").read_text())


def commands() -> set[tuple[str, ...]]:
    """Give each command without what is behind its last word."""
    blocks = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    found = [*lines, *re.findall(r"`([^`\n]+)`", PAGE)]
    return {words(command) for command in found if COMMAND.match(command)}


def words(command: str) -> tuple[str, ...]:
    every = shlex.split(command)
    begin = 3 if every[0] == "faust" else 1
    names = [word for word in every[begin:] if re.fullmatch(r"[a-z]+", word)][:2]
    length = (
        1
        if names[0] in {"status", "explain", "rewind", "pause", "resume", "next", "rebuild"}
        else 2
    )
    return (*every[:begin], *names[:length])


async def help_of(*words: str) -> str:
    """Ask a worker's command for its help; it must exit with 0."""
    environment = {"PATH": os.environ["PATH"], "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    done: Done = await run(environment, sys.executable, "-m", "faust", *words, "--help")
    assert done.code == 0, f"{' '.join(words)}: {done.errors}"
    assert "usage:" in done.out.lower()
    return done.out


async def test_every_command_of_a_worker_is_there() -> None:
    """Those of an operator are the same for all, as the page says; each worker lists its own."""
    listed = {name: await help_of("-A", f"streams.{name}") for name in WORKERS}
    for name in WORKERS:
        for command in ("status", "dlq", "rewind", "pause", "resume", "explain"):
            assert f"\n  {command} " in listed[name], name
    named = [command for command in commands() if command[0] == "faust"]
    assert len(named) > 10
    for _, _, module, command, *_ in named:
        assert f"\n  {command} " in listed[module.removeprefix("streams.")], command
    # What is below a command is the same code for every worker: it is asked of one.
    for words in sorted({command[3:] for command in named if len(command) > 4}):
        await help_of("-A", "streams.audit", *words)


@pytest.mark.parametrize(
    "command", sorted(one[1:] for one in commands() if one[0] == "taskflow"), ids=" ".join
)
def test_every_command_of_taskflow_is_there(command: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main([*command, "--help"])


@pytest.mark.parametrize("module", [metrics, feed, resume, tail])
def test_every_metric_is_on_the_page(module: object) -> None:
    kinds = (prometheus_client.Counter, prometheus_client.Gauge, prometheus_client.Histogram)
    for value in vars(module).values():
        if isinstance(value, kinds):
            (family,) = value.collect()
            counted = "_total" if isinstance(value, prometheus_client.Counter) else ""
            assert f"| `{family.name}{counted}` |" in PAGE


def test_every_readiness_check_is_on_the_page() -> None:
    """As they stand in the processes' tables of checks."""
    sources = ("api/app.py", "gateway/server.py", "streams/relay/__main__.py")
    texts = [Path(path).read_text() for path in (*sources, "streams/effects/faust_app.py")]
    names = {name for text in texts for name in re.findall(r'"([a-z]+)": [\w.]+\.check\b', text)}
    names |= set(re.findall(r'checks\["([a-z]+)"\]', texts[-1]))
    assert names == {"database", "log", "outbox", "effects", "beside", "tail"}
    for name in names:
        assert f"| `{name}` |" in PAGE
