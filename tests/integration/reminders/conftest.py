"""Fixtures of the reminders' tests."""

import importlib
from collections.abc import Iterator
from types import ModuleType
from uuid import UUID

import pytest

from schemas.settings import load_settings
from streams.store.database import Database
from tests.reminder_world import make_users


@pytest.fixture(scope="session")
def worker_module() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.reminders")
    load_settings.cache_clear()


@pytest.fixture
async def user(database: Database) -> UUID:
    return (await make_users(database, 1))[0]
