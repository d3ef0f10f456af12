"""Fixtures of the recurrence worker's tests."""

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from schemas.settings import load_settings
from streams.store.database import Database
from tests.recurrence_world import RecurrenceWorld


@pytest.fixture(scope="session")
def worker_module() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.recurrence")
    load_settings.cache_clear()


@pytest.fixture
def world(database: Database, worker_module: ModuleType) -> RecurrenceWorld:
    """Give a world with a worker that goes by the world's clock."""
    recurrence = worker_module.Recurrence()
    world = RecurrenceWorld(database, recurrence.apply)
    recurrence.now = lambda: world.now
    return world
