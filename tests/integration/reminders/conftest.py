"""Fixtures of the reminders' tests."""

import importlib
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from schemas.settings import load_settings
from streams.store.database import Database
from tests.reminder_world import make_users

if TYPE_CHECKING:
    from streams.reminders import Reminders  # it reads its settings when it is imported


@pytest.fixture(scope="session")
def worker_module() -> Iterator[ModuleType]:
    """Import the worker, which reads its settings then; nothing is connected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        load_settings.cache_clear()
        yield importlib.import_module("streams.reminders")
    load_settings.cache_clear()


@pytest.fixture
def make(worker_module: ModuleType) -> "Callable[[], Reminders]":
    made: Callable[[], Reminders] = worker_module.Reminders
    return made


@pytest.fixture
async def user(database: Database) -> UUID:
    return (await make_users(database, 1))[0]
