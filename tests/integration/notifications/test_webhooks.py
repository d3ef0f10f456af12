"""Webhooks arrive, signed, at receivers that fail, hang or ask for a pause."""

import asyncio
import hmac
import random
from base64 import b64decode, b64encode
from hashlib import sha256
from time import time

from tests.integration.notifications.receivers import Request, receiving
from tests.integration.notifications.sending_world import World, reminder


def is_signed(request: Request, secret: str) -> bool:
    """Check a request as a receiver does, by the text of Standard Webhooks."""
    stamp = request.headers["webhook-timestamp"]
    assert abs(time() - int(stamp)) < 300
    signed = f"{request.key}.{stamp}.".encode() + request.body
    key = b64decode(secret.removeprefix("whsec_"))
    wanted = "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()
    return wanted in request.headers["webhook-signature"].split(" ")


async def test_a_reminder_is_a_notification_and_a_signed_request_with_the_event_as_it_came(
    world: World,
) -> None:
    """The list shows both, and each outcome is an event."""
    async with receiving() as receiver, world.sending():
        hooked = await world.hook(receiver.url)
        event = reminder(hooked.user_id)
        await world.remind(event)
        (delivery,) = await world.settled(hooked, 1)
    (request,) = receiver.requests
    assert request.body == event.record.value
    assert request.headers["content-type"] == "application/json"
    assert request.key == str(delivery.id)
    assert is_signed(request, hooked.secret)
    (notification,) = await world.notifications(hooked.user_id)
    assert notification.title == "Reminder: Pay rent"
    assert "17:00 JST" in notification.body
    assert notification.deliveries == (delivery,)
    assert (delivery.state, delivery.attempts, delivery.status) == ("sent", 1, 200)
    assert not delivery.maybe_repeated
    told = await world.events(hooked.user_id, "taskflow.notification.sent")
    assert [data["channel"] for data in told] == ["in-app", "webhook"]
    for data in told:
        assert data["notification_id"] == str(notification.id)
        assert data["task_id"] == str(notification.task_id)


async def test_an_event_that_comes_twice_is_one_notification_and_one_delivery(
    world: World,
) -> None:
    """In one batch, in another one, and from two workers at once."""
    hooked = await world.hook("http://127.0.0.1:1/")
    event, other = reminder(hooked.user_id), reminder(hooked.user_id)
    await world.remind(event, event)
    await asyncio.gather(*(world.remind(event, other) for _ in range(4)))
    assert len(await world.notifications(hooked.user_id)) == 2
    assert len(await world.deliveries(hooked)) == 2
    assert len(await world.events(hooked.user_id, "taskflow.notification.sent")) == 2


async def test_each_delivery_arrives_at_a_receiver_that_fails_three_times_in_ten(
    world: World,
) -> None:
    """Each one once in effect, and with a good signature."""
    dice = random.Random(7)
    async with (
        receiving(lambda _: (500 if dice.random() < 0.3 else 204, {})) as receiver,
        world.sending(pace=0.000_1),
    ):
        hooked = await world.hook(receiver.url)
        await world.remind(*(reminder(hooked.user_id, f"task {n}") for n in range(60)))
        deliveries = await world.settled(hooked, 60)
    assert {delivery.state for delivery in deliveries} == {"sent"}
    assert all(is_signed(request, hooked.secret) for request in receiver.requests)
    assert sorted(request.key for request in receiver.taken) == sorted(
        str(delivery.id) for delivery in deliveries
    )
    assert sum(delivery.attempts for delivery in deliveries) == len(receiver.requests) > 60
    print(f"\n60 deliveries by {len(receiver.requests)} requests")


async def test_a_receiver_that_asks_for_a_pause_gets_it(world: World) -> None:
    """429 with Retry-After: 2 s, where the schedule alone would have come in 0.1 s."""
    async with (
        receiving(lambda n: (429, {"Retry-After": "2"}) if n == 1 else (200, {})) as receiver,
        world.sending(),
    ):
        hooked = await world.hook(receiver.url)
        await world.remind(reminder(hooked.user_id))
        (delivery,) = await world.settled(hooked, 1)
    first, second = receiver.requests
    assert second.at - first.at >= 2
    assert second.key == first.key
    assert (delivery.state, delivery.attempts) == ("sent", 2)
