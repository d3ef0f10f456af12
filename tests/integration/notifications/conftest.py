"""Fixtures of the notifications' tests."""

import importlib
from collections.abc import Iterator
from types import ModuleType

import pytest

from schemas.settings import Settings, load_settings
from streams.store.database import Database
from tests.integration.notifications.sending_world import World, make_world


@pytest.fixture(scope="session")
def worker() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.notifications")
    load_settings.cache_clear()


@pytest.fixture(scope="session")
def webhooks() -> Iterator[ModuleType]:
    """Import the worker of webhooks, as `worker` does."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.webhooks")
    load_settings.cache_clear()


@pytest.fixture
def world(database: Database, worker: ModuleType, database_url: str) -> World:
    """Give a world on a fresh database."""
    return make_world(database, worker, Settings(_env_file=None, database_url=database_url))
