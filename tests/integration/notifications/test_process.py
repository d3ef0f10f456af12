"""The notifications worker as a process: from the log to the receiver and back to the log."""

import asyncio
import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

import httpx
import pytest
from websockets.asyncio.client import connect

from schemas import codec
from schemas.settings import Settings
from schemas.topics import REMINDERS, TASK_UPDATES
from streams.transport.interface import Message, Transport
from tests.chaos.workload import register
from tests.integration.notifications.receivers import receiving
from tests.integration.notifications.sending_world import KEYS, Hooked, World, reminder_bytes
from tests.stack import Child, Stack
from tests.waiting import eventually

DRAIN_S_MAX = 400.0


@pytest.fixture
def stack(settings: Settings, tmp_path: Path) -> Stack:
    return Stack(settings, tmp_path)


def add_worker(stack: Stack) -> Child:
    """Add the worker, with settings that let webhooks reach loopback."""
    child = stack.add("notifications")
    more = {
        "CHANNEL_KEYS": ",".join(KEYS),
        "WEBHOOK_ALLOW_HTTP": "true",
        "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
    }
    child = replace(child, environment={**child.environment, **more})
    stack.children["notifications"] = child
    return child


async def publish(transport: Transport, users: list[Hooked], count: int) -> None:
    """Publish reminders of users in turn, each by its user's key, as the relay does."""
    for number in range(count):
        user_id = users[number % len(users)].user_id
        value = reminder_bytes(user_id, f"task {number}")
        await transport.publish(Message(REMINDERS.name, str(user_id).encode(), value))


async def outcomes(transport: Transport) -> Counter[tuple[str, str, str]]:
    """Count the outcomes in `task-updates` by event id, channel and notification."""
    extents = await transport.extents(TASK_UPDATES.name)
    ends = {partition: extent.end for partition, extent in extents.items()}
    wanted = sum(extent.end - extent.start for extent in extents.values())
    found: Counter[tuple[str, str, str]] = Counter()
    starts = {partition: extents[partition].start for partition in ends}
    async with transport.tail(TASK_UPDATES.name, starts) as tail:
        while wanted > 0:
            for record in await tail.read(500, 2.0):
                wanted -= 1
                event = codec.decode(record.value or b"{}")
                data = event["data"]
                found[event["id"], data["channel"], data["notification_id"]] += 1
    return found


async def test_a_reminder_in_the_log_reaches_its_receiver_and_its_outcome_the_log(
    stack: Stack, world: World, transport: Transport
) -> None:
    """And the worker ends with 0 when it is asked to."""
    stack.add("relay")
    worker = add_worker(stack)
    async with receiving() as receiver, stack.running():
        hooked = await world.hook(receiver.url)
        began_at = monotonic()
        await publish(transport, [hooked], 1)
        (delivery,) = await world.settled(hooked, 1)
        arrived_s = receiver.requests[0].at - began_at

        async def told() -> bool:
            return len(await outcomes(transport)) == 2

        await eventually(told, 10, "both outcomes are in the log")
        told_channels = sorted(channel for _, channel, _ in await outcomes(transport))
        print(f"\nfrom the log to the receiver in {arrived_s * 1000:.0f} ms")
        assert await worker.end() == 0
    assert (delivery.state, delivery.attempts) == ("sent", 1)
    assert told_channels == ["in-app", "webhook"]


@pytest.mark.usefixtures("transport")
async def test_a_reminder_set_over_http_reaches_a_webhook_and_a_socket_at_its_instant(
    stack: Stack, world: World
) -> None:
    """Through every process there is: api, relay, reminders, notifications, gateway."""
    for name in ("api", "relay", "reminders", "gateway"):
        stack.add(name)
    add_worker(stack)
    async with (
        receiving() as receiver,
        stack.running(),
        httpx.AsyncClient(base_url=stack.api_url, trust_env=False) as client,
    ):
        account = await register(client, "ada")
        hooked = await world.hook(receiver.url, account.id)
        bearer = {"Authorization": f"Bearer {account.token}"}
        async with connect(stack.ws_url, additional_headers=bearer) as socket:
            await socket.recv()
            due_at = datetime.now(UTC) + timedelta(seconds=2)
            answer = await client.post(
                f"/api/{account.id}/tasks",
                json={"title": "Pay rent", "remind_at": due_at.isoformat()},
                headers=bearer,
            )
            assert answer.status_code == 201, answer.text
            (delivery,) = await world.settled(hooked, 1)
            seen: list[str] = []
            async with asyncio.timeout(10):
                while seen.count("taskflow.notification.sent") < 2:
                    seen.append(codec.decode(await socket.recv())["event"]["type"])
        listed = await client.get(f"/api/{account.id}/notifications", headers=bearer)
    assert delivery.done_at is not None
    assert delivery.created_at >= due_at
    late_ms = (delivery.done_at - due_at).total_seconds() * 1000
    print(f"\nfrom the instant of the reminder to the receiver's answer: {late_ms:.0f} ms")
    (notification,) = listed.json()["items"]
    assert notification["title"] == "Reminder: Pay rent"
    assert notification["deliveries"][0]["state"] == "sent"
    assert seen[:2] == ["taskflow.task.created", "taskflow.reminder.due"]
    event = codec.decode(receiver.requests[0].body)
    assert event["data"]["task"]["id"] == answer.json()["id"]


@pytest.mark.long
@pytest.mark.parametrize("seed", [1, 2])
async def test_a_worker_that_is_killed_loses_nothing_and_tells_what_may_have_come_twice(
    stack: Stack, world: World, transport: Transport, seed: int
) -> None:
    """It is killed four times in the midst of 600 deliveries to a receiver that fails at times."""
    dice = random.Random(seed)
    stack.add("relay")
    worker = add_worker(stack)

    async def kill() -> None:
        for _ in range(4):
            await asyncio.sleep(dice.uniform(1.0, 6.0))
            worker.kill()

    async with (
        receiving(lambda _: (500 if dice.random() < 0.1 else 200, {})) as receiver,
        stack.running(),
    ):
        users = [await world.hook(receiver.url) for _ in range(30)]
        began_at = monotonic()
        await asyncio.gather(kill(), publish(transport, users, 600))
        done = [d for user in users for d in await world.settled(user, 20, DRAIN_S_MAX)]
        drained_s = monotonic() - began_at

        async def told() -> bool:
            return len(await outcomes(transport)) == 1_200

        await eventually(told, 30, "all outcomes are in the log")
        found = await outcomes(transport)
    assert {delivery.state for delivery in done} == {"sent"}
    taken = Counter(request.key for request in receiver.taken)
    assert taken.keys() == {str(delivery.id) for delivery in done}
    repeated = {key for key, count in taken.items() if count > 1}
    marked = {str(delivery.id) for delivery in done if delivery.maybe_repeated}
    print(
        f"\nseed {seed}: {worker.starts} starts, drained in {drained_s:.0f} s;"
        f" {len(receiver.requests)} requests for 600 deliveries, {len(repeated)} came twice,"
        f" {len(marked)} are marked as possibly repeated"
    )
    assert repeated <= marked
    assert len({(channel, notification) for _, channel, notification in found}) == 1_200
    assert worker.starts == 5
