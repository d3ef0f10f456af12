"""The bell: many rings are few notifications, and one that fails is dropped."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.store import database as door
from streams.store.bell import open_bell
from streams.store.database import Database, open_database
from streams.store.outbox import CHANNEL
from tests.waiting import eventually


class Ear:
    """Counts notifications."""

    def __init__(self) -> None:
        self.count = 0

    def hear(self) -> None:
        self.count += 1

    async def heard(self, count: int) -> bool:
        return self.count >= count


@pytest.fixture
async def ear(database: Database) -> AsyncIterator[Ear]:
    ear = Ear()
    async with database.listening(CHANNEL, ear.hear):
        yield ear


async def test_many_rings_become_few_notifications(database: Database, ear: Ear) -> None:
    """Those that come while one is on its way become a single one, which is sent after it."""
    async with open_bell(database) as bell:
        for _ in range(100):
            for _ in range(100):
                bell.ring()
            await asyncio.sleep(0)
        await eventually(lambda: ear.heard(1), 5, "the bell is heard")
        before = ear.count
        bell.ring()
        await eventually(lambda: ear.heard(before + 1), 5, "a later ring is heard too")
    assert ear.count <= 10


async def test_a_ring_that_fails_is_dropped_and_later_ones_are_heard(
    database_url: str,
    ear: Ear,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pool's only connection is taken, so the first ring finds none within its limit."""
    caplog.set_level("INFO", "streams.store.bell")
    monkeypatch.setattr(door, "ACQUIRE_S_MAX", 0.2)

    async def dropped() -> bool:
        return "the relay could not be woken" in caplog.text

    async with open_database(database_url, pool_size=1) as own, open_bell(own) as bell:
        async with own.transaction():
            bell.ring()
            await eventually(dropped, 5, "the ring is dropped")
        assert ear.count == 0
        bell.ring()
        await eventually(lambda: ear.heard(1), 5, "the next ring is heard")


async def test_a_bell_that_is_closed_ends_at_once(database: Database) -> None:
    """Whether a ring was asked for or not."""
    async with asyncio.timeout(1), open_bell(database) as bell:
        bell.ring()
    async with asyncio.timeout(1), open_bell(database):
        pass
