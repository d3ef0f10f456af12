"""Fixtures of the audit trail's tests."""

from pathlib import Path

import pytest

from schemas.settings import Settings
from streams.store.database import Database
from streams.transport.interface import Transport
from tests.integration.audit.rebuild_world import RebuildWorld, worker_of
from tests.stack import Stack


@pytest.fixture
def rebuild_world(
    database: Database, transport: Transport, settings: Settings, tmp_path: Path
) -> RebuildWorld:
    """Give a world with an empty trail and an empty log."""
    stack = Stack(settings, tmp_path)
    return RebuildWorld(database, transport, settings, stack, worker_of())
