"""A channel's ETag is its version, and If-Match guards every write of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from streams.domain.deliveries import Failed, Verdict
from streams.domain.messages import Message
from streams.store.sending import claim_channels, settle
from tests.integration.api.world import Json, Person, problem, read, running_api
from tests.integration.notifications.sending_world import KEYS, World, reminder
from tests.integration.notifications.test_endpoints import URL, make
from tests.waiting import eventually


@pytest.fixture
async def ada(database_url: str) -> AsyncIterator[Person]:
    async with running_api(database_url, channel_keys=",".join(KEYS)) as api:
        yield await api.person()


async def write(
    ada: Person, channel: Json, method: str, if_match: str | None, below: str = ""
) -> httpx.Response:
    headers = {"If-Match": if_match} if if_match else {}
    body: Json = {"json": {"name": f"after {if_match}"}} if method == "PATCH" else {}
    path = f"/channels/{channel['id']}{below}"
    return await ada.ask(method, path, headers=headers, **body)


async def test_every_answer_with_a_channel_has_its_version_as_a_strong_tag(ada: Person) -> None:
    """A write of nothing makes no version."""
    body = {"kind": "webhook", "url": URL}
    created = await ada.ask("POST", "/channels", json=body)
    channel = read(created)
    path = f"/channels/{channel['id']}"
    answers = [
        created,
        await ada.ask("GET", path),
        await ada.ask("PATCH", path, json={"name": "new"}),
        await ada.ask("PATCH", path, json={"name": "new", "url": URL, "enabled": True}),
        await ada.ask("POST", f"{path}/rotate"),
        await ada.ask("GET", path),
    ]
    assert [answer.headers["ETag"] for answer in answers] == [
        '"1"',
        '"1"',
        '"2"',
        '"2"',
        '"3"',
        '"3"',
    ]
    assert [read(answer)["version"] for answer in answers] == [1, 1, 2, 2, 3, 3]


@pytest.mark.parametrize(("method", "below"), [("PATCH", ""), ("DELETE", ""), ("POST", "/rotate")])
async def test_a_write_of_another_version_is_412_and_changes_nothing(
    ada: Person, method: str, below: str
) -> None:
    channel = await make(ada)
    for tag in ('"2"', 'W/"1"', "1", '"0", "11"'):
        answer = await write(ada, channel, method, tag, below)
        problem(answer, 412, "precondition-failed")
        assert answer.headers["ETag"] == '"1"'
    shown = read(await ada.ask("GET", f"/channels/{channel['id']}"))
    assert shown == {name: value for name, value in channel.items() if name != "secret"}
    gone = {"id": str(UUID(int=7))}
    problem(await write(ada, gone, method, '"1"', below), 404, "not-found")
    assert (await write(ada, channel, method, '"9", "1"', below)).is_success
    if method == "DELETE":
        problem(await ada.ask("GET", f"/channels/{channel['id']}"), 404, "not-found")


async def at_once(
    world: World, channel: Json, writes: Sequence[Awaitable[httpx.Response]]
) -> list[httpx.Response]:
    """Do writes that all wait for the channel before the first of them goes on."""

    async def all_wait() -> bool:
        row = await world.database.fetchrow(
            "SELECT count(*) AS n FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return row is not None and row["n"] == len(writes)

    async with world.database.transaction() as session:
        await session.fetch("SELECT FROM channels WHERE id = $1 FOR UPDATE", UUID(channel["id"]))
        writing = asyncio.ensure_future(asyncio.gather(*writes))
        await eventually(all_wait, 3, "all wait for the channel")
    return await writing


async def test_of_writes_at_once_that_name_a_version_one_succeeds(
    ada: Person, world: World
) -> None:
    """And of those that name none, all do."""
    channel = await make(ada)
    patches = [write(ada, channel, "PATCH", '"1"') for _ in range(3)]
    rotations = [write(ada, channel, "POST", '"1"', "/rotate") for _ in range(3)]
    answers = await at_once(world, channel, [*patches, *rotations])
    assert sorted(answer.status_code for answer in answers) == [200, *[412] * 5]
    rotations = [write(ada, channel, "POST", None, "/rotate") for _ in range(6)]
    answers = await at_once(world, channel, rotations)
    assert sorted(read(answer)["version"] for answer in answers) == list(range(3, 9))


async def test_a_channel_that_was_switched_off_meanwhile_is_another_version(
    ada: Person, world: World
) -> None:
    """So that who looked before does not write over it unseen."""
    channel = await make(ada)
    await world.remind(reminder(ada.id))
    (claim,) = await claim_channels(world.database, "webhook", 10, working=False)
    verdict = Verdict("failed", timedelta(), switch_off=True)
    off = Message("Switched off", "because")
    await settle(world.database, claim.parcels[0], Failed("gone", 410), verdict, off)
    problem(await write(ada, channel, "PATCH", '"1"'), 412, "precondition-failed")
