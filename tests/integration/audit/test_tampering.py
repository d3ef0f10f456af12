"""Whatever is changed in the audit trail behind TaskFlow's back is found, and where it is."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from random import Random
from uuid import UUID, uuid4

import pytest

from streams.domain.audit_chain import Counts, Fault, Finding
from streams.store import audit_proof
from streams.store.audit_proof import verify_within
from streams.store.database import Database
from tests.audit_world import append, entries_of
from tests.integration.audit import tampering
from tests.integration.audit.tampering import WAYS, Scene

USERS = [uuid4() for _ in range(3)]
EACH = 8


class _UndoneError(Exception):
    """Ends a transaction without a trace."""


@pytest.fixture
async def trail(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    """Give a database with a sound trail, read in pages that end within chains."""
    monkeypatch.setattr(audit_proof, "PAGE", 5)
    await append(database, entries_of(USERS, EACH * len(USERS)))
    async with database.transaction() as session:
        await session.run_script(tampering.NO_RULES)
    return database


@asynccontextmanager
async def scene_of(
    database: Database, seed: int, position: int | None = None
) -> AsyncIterator[Scene]:
    """Give a place to tamper with; whatever is done there is undone."""
    rng = Random(seed)
    with suppress(_UndoneError):
        async with database.transaction() as session:
            place = position or rng.randint(1, EACH)
            yield Scene(session, rng, rng.choice(USERS), place, EACH)
            raise _UndoneError


async def found(scene: Scene, user_id: UUID | None = None) -> list[Finding]:
    return [finding async for finding in verify_within(scene.session, Counts(), user_id)]


async def check_all_found(database: Database, count: int) -> None:
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        async with scene_of(database, number) as scene:
            assert await found(scene) == [], f"before number {number}"
            await way(scene)
            findings = await found(scene)
            assert findings, f"{way.__name__} at {scene.position} of {EACH}, number {number}"
            if way is not tampering.owner:
                assert {finding.user_id for finding in findings} == {scene.user}
                assert await found(scene, scene.user) == findings
            for other in set(USERS) - {scene.user}:
                assert await found(scene, other) == []


async def test_every_way_to_tamper_is_found_at_its_user_and_nowhere_else(trail: Database) -> None:
    """Each of them three times, at places that a seed chooses."""
    await check_all_found(trail, 3 * len(WAYS))


@pytest.mark.long
async def test_a_thousand_tamperings_are_all_found(trail: Database) -> None:
    await check_all_found(trail, 1_000)


@pytest.mark.parametrize(
    ("way", "faults"),
    [
        (tampering.content, [(4, Fault.CONTENT)]),
        (tampering.content_with_its_hash, [(4, Fault.LINK)]),
        (tampering.content_with_all_hashes_of_its_row, [(5, Fault.LINK)]),
        (tampering.timestamp, [(4, Fault.COLUMNS)]),
        (tampering.event_type, [(4, Fault.COLUMNS)]),
        (tampering.task, [(4, Fault.COLUMNS)]),
        (tampering.one_gone, [(4, Fault.MISSING)]),
        (tampering.first_gone, [(1, Fault.MISSING)]),
        (tampering.last_gone, [(8, Fault.MISSING)]),
        (tampering.end_gone, [(4, Fault.MISSING)]),
        (tampering.all_gone, [(1, Fault.MISSING)]),
        (tampering.added_behind, [(9, Fault.EXTRA)]),
        (tampering.swapped, [(4, Fault.LINK), (5, Fault.LINK), (6, Fault.LINK)]),
        (tampering.entry_hash, [(4, Fault.LINK), (5, Fault.LINK)]),
        (tampering.hash_of_content, [(4, Fault.LINK), (4, Fault.CONTENT)]),
        (tampering.one_erased, [(4, Fault.ERASED)]),
        (tampering.one_erased_and_noted, [(1, Fault.KEPT)]),
        (tampering.head_hash, [(8, Fault.HEAD)]),
        (tampering.head_gone, [(8, Fault.HEAD)]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_is_found_says_where_and_what(
    trail: Database, way: Callable[[Scene], Awaitable[None]], faults: list[tuple[int, Fault]]
) -> None:
    async with scene_of(trail, 1, position=4) as scene:
        entry = (await scene.row())["id"]
        await way(scene)
        findings = await found(scene)
        assert [(one.position, one.fault) for one in findings] == faults
        if way is tampering.content:
            assert findings[0].entry_id == entry
