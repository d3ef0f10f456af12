"""The webhooks worker as a process: from a request to the receiver, and through its own deaths."""

import asyncio
from collections import Counter
from pathlib import Path

import httpx
import pytest

from schemas import codec
from schemas.events import CHANGE_TYPES, TaskEventType
from schemas.settings import Settings
from schemas.topics import TASK_EVENTS
from streams.transport.interface import Message, Transport
from tests.chaos.workload import register
from tests.integration.notifications.receivers import receiving
from tests.integration.notifications.sending_world import Hooked, World, change_bytes
from tests.integration.notifications.test_process import add_worker
from tests.stack import Stack
from tests.waiting import eventually


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Stack:
    return Stack(settings, tmp_path)


@pytest.mark.usefixtures("transport")
async def test_a_task_made_over_http_reaches_a_webhook_with_its_event(
    stack: Stack, world: World
) -> None:
    """Through api, relay, webhooks and notifications; both workers end with 0."""
    for name in ("api", "relay", "webhooks"):
        stack.add(name)
    sender = add_worker(stack)
    created = TaskEventType.CREATED.value
    async with (
        receiving() as receiver,
        stack.running(),
        httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as client,
    ):
        account = await register(client, "ada")
        hooked = await world.hook(receiver.url, account.id, types=(created,))
        answer = await client.post(
            f"/api/{account.id}/tasks",
            json={"title": "Pay rent"},
            headers={"Authorization": f"Bearer {account.token}"},
        )
        assert answer.status_code == 201, answer.text
        (delivery,) = await world.settled(hooked, 1)
        assert [await child.end() for child in (stack.children["webhooks"], sender)] == [0, 0]
    (request,) = receiver.requests
    event = codec.decode(request.body)
    assert (event["type"], event["data"]["task"]) == (created, answer.json())
    assert delivery.state == "sent"


async def test_a_worker_that_is_killed_writes_one_delivery_for_each_event_and_channel(
    stack: Stack, world: World, transport: Transport
) -> None:
    """It is killed three times in the midst of 2,000 events, each of which is published twice."""
    worker = stack.add("webhooks")
    users = [await world.hook("http://127.0.0.1:9/", types=CHANGE_TYPES) for _ in range(10)]
    events = [(user, change_bytes(user.user_id)) for user in users for _ in range(200)]

    async def publish(wanted: list[tuple[Hooked, bytes]]) -> None:
        await transport.publish_many(
            [Message(TASK_EVENTS.name, str(user.user_id).encode(), value) for user, value in wanted]
        )

    async def written() -> int:
        row = await world.database.fetchrow("SELECT count(*) AS rows FROM deliveries")
        return int(row["rows"]) if row else 0

    async with stack.running():
        for part in range(4):
            seen = await written()

            async def goes_on(known: int = seen) -> bool:
                return await written() > known

            fresh = events[part::4]
            publishing = asyncio.create_task(publish(fresh + fresh))
            await eventually(goes_on, 60, "it has written more")
            if part < 3:
                worker.kill()
            await publishing

        async def all_written() -> bool:
            return await written() >= len(events)

        await eventually(all_written, 60, "all is written")

        async def all_consumed() -> bool:
            row = await world.database.fetchrow(
                "SELECT sum(next_offset) AS done FROM stream_offsets WHERE app = 'webhooks'"
            )
            return row is not None and row["done"] == 2 * len(events)

        await eventually(all_consumed, 60, "the repeats were read too")
    rows = await world.database.fetch("SELECT event_id, channel_id FROM deliveries")
    found = Counter((row["event_id"], row["channel_id"]) for row in rows)
    assert len(found) == found.total() == len(events) == 2_000
    assert worker.starts == 4
