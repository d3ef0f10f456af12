"""The runbook is true: it knows every metric and every check, and its commands are there."""

import asyncio
import os
import re
import shlex
import sys
from pathlib import Path

import prometheus_client
import pytest

from gateway import feed, resume, tail
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
    length = 1 if names[0] in {"status", "explain", "rewind", "pause", "resume", "next"} else 2
    return (*every[:begin], *names[:length])


async def helps(command: tuple[str, ...]) -> str | None:
    """Ask a command for its help; give what is wrong, if anything is."""
    done = await ask_help(command)
    well = done.code == 0 and "usage:" in done.out.lower()
    return None if well else f"{' '.join(command)}: {done.errors}"


async def ask_help(command: tuple[str, ...]) -> Done:
    module = "faust" if command[0] == "faust" else "streams.cli"
    environment = {"PATH": os.environ["PATH"], "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    return await run(environment, sys.executable, "-m", module, *command[1:], "--help")


async def test_each_worker_has_the_commands_of_an_operator() -> None:
    """As the page says: they are the same for all."""
    for worker in WORKERS:
        listed = (await ask_help(("faust", "-A", f"streams.{worker}"))).out
        for name in ("status", "dlq", "rewind", "pause", "resume", "explain"):
            assert f"\n  {name} " in listed, worker


async def test_every_command_of_the_page_is_there() -> None:
    """Its `--help` exits with 0."""
    wanted = commands()
    assert len(wanted) > 20
    turn = asyncio.Semaphore(2)

    async def one(command: tuple[str, ...]) -> str | None:
        async with turn:
            return await helps(command)

    wrong = await asyncio.gather(*(one(command) for command in sorted(wanted)))
    assert [text for text in wrong if text] == []


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
