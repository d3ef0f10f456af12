"""Fixtures of the effects' tests."""

import pytest

from streams.effects import retrying
from streams.store.database import Database
from tests.integration.effects.effects_world import World


@pytest.fixture
async def world(database: Database, monkeypatch: pytest.MonkeyPatch) -> World:
    """Give a world in which waiting is short."""
    monkeypatch.setattr(retrying, "PAUSE_S_MAX", 0.1)
    world = World(database)
    await world.prepare()
    return world
