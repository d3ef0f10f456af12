"""One instance for the tests that only use it."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.embedded.jars import fetch_jars
from tests.e2e.instance import Up, folder
from tests.servers import JARS

PROCESSES = 6
"""PostgreSQL, Kafka, API, gateway, relay and the audit worker, at the least."""


@pytest.fixture(scope="session")
def _jars() -> None:
    """Fetch what each instance would fetch for itself."""
    fetch_jars(JARS, print)


@pytest.fixture
def fresh(_jars: None, tmp_path: Path) -> Iterator[Up]:
    """Give an instance that was never started."""
    with folder(tmp_path / "data") as up:
        yield up


@pytest.fixture(scope="session")
def instance(_jars: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """Give one that is up; tests leave it so. Ctrl-C then ends all of it, with exit code 0."""
    with folder(tmp_path_factory.mktemp("instance") / "data") as up:
        yield up.start().wait_until_up()
        assert len(up.processes()) >= PROCESSES
        assert up.end(signal.SIGINT) == 0
        assert up.processes() == []
