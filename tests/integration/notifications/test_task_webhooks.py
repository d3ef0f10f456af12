"""Changes of tasks reach the webhooks that asked for them: once, up to a limit, and no others."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from types import ModuleType
from typing import cast

import pytest

from schemas.events import CHANGE_TYPES, REMINDER_DUE, TaskEventType
from schemas.ids import new_id
from streams.effects.reading import Event, PoisonError
from streams.store import queueing
from streams.store.database import Row, Session
from streams.store.queueing import queue_test
from tests.integration.notifications.receivers import receiving
from tests.integration.notifications.sending_world import Hooked, World, change, reminder
from tests.integration.notifications.test_webhooks import is_signed

NOWHERE = "http://127.0.0.1:9/"
COMPLETED, UPDATED = TaskEventType.COMPLETED.value, TaskEventType.UPDATED.value
Tell = Callable[..., Awaitable[None]]


@pytest.fixture
def tell(world: World, webhooks: ModuleType) -> Tell:
    """Give what applies events as the worker does."""

    async def tell(*events: Event) -> None:
        async with world.database.transaction() as session:
            await webhooks.apply(session, events)

    return tell


async def test_a_change_is_a_signed_request_with_the_event_as_it_came_and_nothing_else(
    world: World, tell: Tell
) -> None:
    """No notification, and no event that could come back as another delivery."""
    async with receiving() as receiver, world.sending():
        hooked = await world.hook(receiver.url, types=CHANGE_TYPES)
        event = change(hooked.user_id, COMPLETED)
        await tell(event)
        (delivery,) = await world.settled(hooked, 1)
    (request,) = receiver.requests
    assert request.body == event.record.value
    assert is_signed(request, hooked.secret)
    assert (delivery.state, delivery.event_type) == ("sent", COMPLETED)
    assert delivery.notification_id is None
    assert await world.notifications(hooked.user_id) == []
    assert await world.database.fetch("SELECT FROM outbox") == []


async def test_an_event_that_comes_twice_is_one_delivery(world: World, tell: Tell) -> None:
    """In one batch, in another one, and from several workers at once, for each of two channels."""
    one = await world.hook(NOWHERE, types=CHANGE_TYPES)
    two = await world.hook(NOWHERE, one.user_id, types=(UPDATED,))
    event, other = change(one.user_id), change(one.user_id)
    await tell(event, event)
    await asyncio.gather(*(tell(event, other) for _ in range(4)))
    for hooked in (one, two):
        assert {item.event_id for item in await world.deliveries(hooked)} == {
            event.envelope.id,
            other.envelope.id,
        }
        assert len(await world.deliveries(hooked)) == 2


async def test_only_who_asked_for_it_is_told(world: World, tell: Tell) -> None:
    """Not another type, another user, a channel that is off, or one younger than the event."""
    asked = await world.hook(NOWHERE, types=(UPDATED, REMINDER_DUE))
    others = [
        await world.hook(NOWHERE, asked.user_id, types=(COMPLETED,)),
        await world.hook(NOWHERE, asked.user_id),
        await world.hook(NOWHERE, types=CHANGE_TYPES),
        await world.email(asked.user_id),
        await world.hook(NOWHERE, asked.user_id, types=CHANGE_TYPES),
    ]
    await world.database.fetch(
        "UPDATE channels SET enabled = false WHERE id = $1", others[-1].channel_id
    )
    before = datetime.now(UTC) - timedelta(minutes=1)
    await tell(change(asked.user_id), change(asked.user_id, at=before))
    assert len(await world.deliveries(asked)) == 1
    for hooked in others:
        assert await world.deliveries(hooked) == []
    await world.remind(reminder(asked.user_id))
    assert len(await world.deliveries(asked)) == 2
    assert len(await world.deliveries(others[1])) == 1
    assert await world.deliveries(others[2]) == []


class Counting:
    """A session that notes its statements."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.asked: list[tuple[str, tuple[object, ...]]] = []

    async def fetch(self, sql: str, *parameters: object) -> list[Row]:
        self.asked.append((sql, parameters))
        return await self.session.fetch(sql, *parameters)


async def test_a_batch_of_which_nobody_is_told_costs_one_query_by_an_index(
    world: World, webhooks: ModuleType
) -> None:
    """Also among users who have channels, but not for these events."""
    users = [(await world.hook(NOWHERE)).user_id for _ in range(20)]
    events = [change(user_id) for user_id in users for _ in range(25)]
    async with world.database.transaction() as session:
        counting = Counting(session)
        await webhooks.apply(cast("Session", counting), events)
        ((sql, parameters),) = counting.asked
        await session.fetch("SET LOCAL enable_seqscan = off")
        plan = await session.fetch(f"EXPLAIN {sql}", *parameters)
    assert any("channels_user" in row[0] for row in plan)


async def test_data_that_is_not_a_tasks_is_a_dead_letter_where_somebody_listens(
    world: World, tell: Tell
) -> None:
    hooked, other = await world.hook(NOWHERE, types=CHANGE_TYPES), await world.user()
    strange = change(hooked.user_id, task={"user_id": str(other)})
    with pytest.raises(PoisonError, match="not the one that the envelope names"):
        await tell(strange)
    with pytest.raises(PoisonError, match="/data/task/title"):
        await tell(change(hooked.user_id, task={"title": 7}))
    assert await world.deliveries(hooked) == []
    await tell(change(other, task={"title": 7}))


async def full(world: World, tell: Tell, monkeypatch: pytest.MonkeyPatch) -> Sequence[Hooked]:
    """Give two channels of a user, the first of which was filled over its limit."""
    monkeypatch.setattr(queueing, "WAITING_MAX", 20)
    monkeypatch.setattr(queueing, "PAIRS_MAX", 7)
    flooded = await world.hook(NOWHERE, types=(UPDATED, REMINDER_DUE))
    calm = await world.hook(NOWHERE, flooded.user_id, types=(COMPLETED,))
    await tell(*(change(flooded.user_id) for _ in range(20)))
    await world.remind(reminder(flooded.user_id))
    await tell(change(flooded.user_id, COMPLETED))
    return flooded, calm


async def test_a_channel_in_which_too_much_waits_is_switched_off_and_its_user_is_told(
    world: World, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an event, a notification and the log; other channels go on."""
    flooded, calm = await full(world, tell, monkeypatch)
    deliveries = await world.deliveries(flooded)
    assert len(deliveries) == 21
    assert {(item.state, item.error) for item in deliveries} == {
        ("failed", "the channel was switched off")
    }
    (off,) = await world.events(flooded.user_id, "taskflow.channel.off")
    assert off["channel_id"] == str(flooded.channel_id)
    assert off["error"] == "over 20 messages waited"
    newest = (await world.notifications(flooded.user_id))[0]
    assert newest.title == "Switched off: home"
    assert "Over 20 messages waited" in newest.body
    failed = await world.events(flooded.user_id, "taskflow.notification.failed")
    assert len(failed) == 1, "the reminder's, and none of a task's event"
    await tell(*(change(flooded.user_id) for _ in range(50)))
    assert len(await world.deliveries(flooded)) == 21
    assert [item.state for item in await world.deliveries(calm)] == ["waiting"]


async def test_one_large_batch_writes_no_row_behind_the_limit(
    world: World, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is left waiting in a channel that is off."""
    monkeypatch.setattr(queueing, "WAITING_MAX", 20)
    monkeypatch.setattr(queueing, "PAIRS_MAX", 7)
    hooked = await world.hook(NOWHERE, types=(UPDATED,))
    await tell(*(change(hooked.user_id) for _ in range(100)))
    assert [item.state for item in await world.deliveries(hooked)] == ["failed"] * 21
    row = await world.database.fetchrow("SELECT due_at, enabled FROM channels")
    assert row is not None
    assert tuple(row) == (None, False)


async def test_no_test_is_queued_where_too_much_waits(
    world: World, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queueing, "WAITING_MAX", 3)
    hooked = await world.hook(NOWHERE, types=(UPDATED,))

    async def test() -> bool:
        return await queue_test(
            world.database, hooked.user_id, hooked.channel_id, new_id(), "taskflow.channel.test", ""
        )

    await tell(change(hooked.user_id), change(hooked.user_id))
    assert [await test(), await test()] == [True, False]


@pytest.mark.long
async def test_ten_thousand_events_to_a_receiver_that_hangs_end_where_the_limit_is(
    world: World, tell: Tell
) -> None:
    """And a batch takes no longer for what waits already than the log takes to bring it."""
    async with receiving(lambda _: None) as receiver, world.sending():
        hooked = await world.hook(receiver.url, types=CHANGE_TYPES)
        took: list[float] = []
        for _ in range(25):
            events = [change(hooked.user_id) for _ in range(500)]
            began_at = monotonic()
            await tell(*events)
            took.append(monotonic() - began_at)
        row = await world.database.fetchrow(
            "SELECT count(*) AS rows, count(*) FILTER (WHERE state = 'waiting') AS waiting"
            "  FROM deliveries"
        )
    assert row is not None
    print(
        f"\n12,500 events: {row['rows']} rows, {row['waiting']} waiting; batches of 500 took"
        f" {took[0] * 1000:.0f} ms at first, {took[19] * 1000:.0f} ms at the limit,"
        f" {took[20] * 1000:.0f} ms to switch off, {took[-1] * 1000:.0f} ms after"
    )
    assert (row["rows"], row["waiting"]) == (10_500, 0)
    assert max(took) < 4
