"""Dead channels hold up nobody, claims run out, and outcomes are written once."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic

import pytest

from schemas.notifications import Delivery
from streams.channels import client as client_module
from streams.channels.lane import PLACES
from streams.domain.deliveries import Failed, Sent, Verdict
from streams.domain.messages import Message
from streams.store import sending as sending_module
from streams.store.database import StoreError
from streams.store.notifications import prune
from streams.store.sending import Claim, claim_channels, release, settle
from tests.integration.notifications.receivers import Receiver, receiving
from tests.integration.notifications.sending_world import Hooked, World, reminder
from tests.servers import Servers
from tests.waiting import eventually

OFF = Message("Switched off", "because")


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


async def latencies(
    world: World, receiver: Receiver, users: list[Hooked], rounds: int
) -> list[float]:
    """Remind each user in turn; give for each the time from the row to the receiver."""
    found = []
    for number in range(rounds):
        hooked = users[number % len(users)]
        before = len(receiver.requests)
        began_at = monotonic()
        await world.remind(reminder(hooked.user_id))

        async def arrived(known: int = before) -> bool:
            return len(receiver.requests) > known

        while not await arrived():
            assert monotonic() < began_at + 20
            await asyncio.sleep(0.002)
        found.append(receiver.requests[before].at - began_at)
    return found


@pytest.mark.alone
@pytest.mark.parametrize(
    ("dead_channels", "hang_s", "rounds"),
    [
        pytest.param(4, 2.0, 120, id="short"),
        pytest.param(1, 60.0, 1_200, id="long", marks=pytest.mark.long),
        pytest.param(100, 30.0, 1_200, id="long-many", marks=pytest.mark.long),
    ],
)
async def test_a_channel_that_hangs_adds_less_than_a_tenth_of_a_second_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch, dead_channels: int, hang_s: float, rounds: int
) -> None:
    """The 99th percentile of other users, beside channels that hang with much to do, and alone."""
    monkeypatch.setattr(client_module, "ANSWER_S_MAX", min(hang_s, 10.0))
    async with receiving() as good, receiving(lambda _: None) as dead, world.sending(1.0):
        users = [await world.hook(good.url) for _ in range(20)]
        alone = await latencies(world, good, users, rounds)
        hanging = [await world.hook(dead.url) for _ in range(dead_channels)]
        for hooked in hanging:
            await world.remind(*(reminder(hooked.user_id) for _ in range(50)))

        async def hangs() -> bool:
            return len(dead.requests) >= min(dead_channels, PLACES["webhook"][1])

        await eventually(hangs, 10, "the dead receiver hangs")
        began_at = monotonic()
        beside: list[float] = []
        while not beside or monotonic() < began_at + hang_s:
            beside += await latencies(world, good, users, rounds)
    added = p99(beside) - p99(alone)
    print(
        f"\n{len(beside)} deliveries beside {dead_channels} hanging channels for {hang_s:.0f} s:"
        f" p99 {p99(beside) * 1000:.1f} ms, alone {p99(alone) * 1000:.1f} ms;"
        f" {len(dead.requests)} requests hung"
    )
    assert added < 0.1


async def test_a_mail_server_that_is_away_holds_up_no_webhook(world: World) -> None:
    async with receiving() as receiver, world.sending(smtp_url=None):
        user_id = await world.user()
        mail, hooked = await world.email(user_id), await world.hook(receiver.url, user_id)
        await world.remind(*(reminder(user_id) for _ in range(20)))
        await world.settled(hooked, 20)
        waiting = await world.deliveries(mail)
    assert {item.state for item in waiting} == {"waiting"}
    assert "SMTP_URL is not set" in {item.error for item in waiting if item.error}.pop()


async def test_a_sender_that_died_is_followed_and_the_repeat_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its claim runs out; the row says that the message may have arrived twice."""
    monkeypatch.setattr(sending_module, "LEASE", timedelta(seconds=0.3))
    hooked = await world.hook("http://127.0.0.1:9/")
    await world.remind(reminder(hooked.user_id))
    (dead,) = await claim_channels(world.database, "webhook", 10, working=False)
    assert await claim_channels(world.database, "webhook", 10, working=False) == []
    claims: list[Claim] = []

    async def claimed_again() -> bool:
        claims.extend(await claim_channels(world.database, "webhook", 10, working=False))
        return bool(claims)

    await eventually(claimed_again, 5, "the claim ran out")
    (parcel,) = claims[0].parcels
    assert parcel.attempts == 2
    # The dead one wakes: nothing that it writes counts, and it does not end the other's claim.
    late = dead.parcels[0]
    assert not await settle(world.database, late, Sent(200), Verdict("sent"), OFF)
    await release(world.database, dead)
    assert await settle(world.database, parcel, Sent(200), Verdict("sent"), OFF)
    await release(world.database, claims[0])
    (delivery,) = await world.deliveries(hooked)
    assert (delivery.state, delivery.attempts, delivery.maybe_repeated) == ("sent", 2, True)
    assert len(await world.events(hooked.user_id, "taskflow.notification.sent")) == 2


async def test_what_is_queued_while_a_channel_is_let_go_is_not_forgotten(world: World) -> None:
    """The release waits for the lock, and then sees what was queued under it."""
    hooked = await world.hook("http://127.0.0.1:9/")
    await world.remind(reminder(hooked.user_id))
    claim = await settled_claim(world)

    async def waits() -> bool:
        row = await world.database.fetchrow(
            "SELECT count(*) AS n FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return row is not None and row["n"] == 1

    async with world.database.transaction() as session:
        await world.worker.apply(session, [reminder(hooked.user_id)])
        releasing = asyncio.create_task(release(world.database, claim))
        await eventually(waits, 3, "the release waits for the lock")
    await releasing
    claim = await settled_claim(world)
    await release(world.database, claim)
    row = await world.database.fetchrow("SELECT due_at, claimed_until, claim FROM channels")
    assert row is not None
    assert set(row.values()) == {None}


async def settled_claim(world: World) -> Claim:
    """Claim the one channel that is due, and settle the one delivery that waits there."""
    claims = [
        claim
        for working in (True, False)
        for claim in await claim_channels(world.database, "webhook", 10, working=working)
    ]
    (claim,) = claims
    (parcel,) = claim.parcels
    assert await settle(world.database, parcel, Sent(200), Verdict("sent"), OFF)
    return claim


async def test_an_answer_that_never_came_marks_the_next_attempt_as_a_possible_repeat(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_S_MAX", 0.3)
    async with (
        receiving(lambda n: None if n == 1 else (200, {})) as receiver,
        world.sending(),
    ):
        hooked = await world.hook(receiver.url)
        await world.remind(reminder(hooked.user_id))
        (delivery,) = await world.settled(hooked, 1)
    assert (delivery.attempts, delivery.maybe_repeated) == (2, True)
    assert len({request.key for request in receiver.requests}) == 1


@pytest.mark.parametrize("way", ["gone", "dead for days"])
async def test_a_channel_where_nothing_arrives_is_switched_off_and_its_user_is_told(
    world: World, way: str
) -> None:
    """By an event and a notification; what waited has failed, each with its event."""
    status = 410 if way == "gone" else 500
    async with receiving(lambda _: (status, {})) as receiver:
        hooked = await world.hook(receiver.url)
        if way != "gone":
            await world.database.fetch(
                "UPDATE channels SET failing_since = now() - interval '3 days 1 minute'"
            )
        await world.remind(*(reminder(hooked.user_id) for _ in range(7)))
        async with world.sending():
            deliveries = await world.settled(hooked, 7)
    assert {delivery.state for delivery in deliveries} == {"failed"}
    (off,) = await world.events(hooked.user_id, "taskflow.channel.off")
    assert off == {
        "channel_id": str(hooked.channel_id),
        "channel": "webhook",
        "name": "home",
        "error": f"the receiver answered {status}",
    }
    failed = await world.events(hooked.user_id, "taskflow.notification.failed")
    assert len(failed) == 7
    assert all(data["error"] for data in failed)
    newest = (await world.notifications(hooked.user_id))[0]
    assert newest.title == "Switched off: home"
    await world.remind(reminder(hooked.user_id))
    assert len(await world.deliveries(hooked)) == 7


async def test_a_schedule_that_ends_gives_the_delivery_up_with_its_event(world: World) -> None:
    async with receiving(lambda _: (500, {})) as receiver, world.sending(pace=0.000_001):
        hooked = await world.hook(receiver.url)
        await world.remind(reminder(hooked.user_id))
        (delivery,) = await world.settled(hooked, 1)
    assert (delivery.state, delivery.attempts, delivery.status) == ("failed", 11, 500)
    (data,) = await world.events(hooked.user_id, "taskflow.notification.failed")
    assert data["error"] == "the receiver answered 500"
    assert len({request.key for request in receiver.requests}) == 1


async def test_several_senders_share_the_channels_and_none_sends_twice(world: World) -> None:
    """Three workers' worth of lanes on one database."""
    dice = random.Random(3)
    async with (
        receiving(lambda _: (200 if dice.random() < 0.9 else 503, {})) as receiver,
        world.sending(),
        world.sending(),
        world.sending(),
    ):
        users = [await world.hook(receiver.url) for _ in range(8)]
        events = [reminder(hooked.user_id) for hooked in users for _ in range(10)]
        await asyncio.gather(*(world.remind(event) for event in events))
        done = [item for hooked in users for item in await world.settled(hooked, 10)]
    assert len(receiver.taken) == len({request.key for request in receiver.taken}) == 80
    assert sum(item.attempts for item in done) == len(receiver.requests)
    assert not [item for item in done if item.maybe_repeated]


async def test_a_database_that_is_killed_in_the_midst_loses_no_outcome(
    world: World, servers: Servers
) -> None:
    """What was sent is written when it is back; nothing is sent again without being marked."""
    async with receiving() as receiver, world.sending():
        hooked = [await world.hook(receiver.url) for _ in range(4)]
        await world.remind(*(reminder(one.user_id) for one in hooked for _ in range(40)))

        async def begun() -> bool:
            return len(receiver.requests) >= 10

        await eventually(begun, 10, "sending has begun")
        await asyncio.to_thread(servers.postgres.kill)
        assert len(receiver.requests) < 160
        await asyncio.to_thread(servers.postgres.start)
        done = [item for one in hooked for item in await settled_again(world, one, 40)]
    taken = [request.key for request in receiver.taken]
    assert set(taken) == {str(item.id) for item in done}
    marked = {str(item.id) for item in done if item.maybe_repeated}
    assert {key for key in taken if taken.count(key) > 1} <= marked
    told = [
        data["notification_id"]
        for one in hooked
        for data in await world.events(one.user_id, "taskflow.notification.sent")
        if data["channel"] == "webhook"
    ]
    assert len(told) == len(set(told)) == 160


async def settled_again(world: World, hooked: Hooked, count: int) -> Sequence[Delivery]:
    """Wait for a channel's outcomes over a database that may not answer at first."""

    async def answers() -> bool:
        try:
            await world.database.check()
        except StoreError:
            return False
        return True

    await eventually(answers, 10, "the database answers")
    return await world.settled(hooked, count, 60)


async def test_a_sender_that_is_asked_to_stop_ends_what_it_has_begun(world: World) -> None:
    """Nothing stays claimed, and nothing is told as a possible repeat."""
    slow = asyncio.Event()
    async with receiving() as receiver, world.sending() as lanes:
        receiver.pause = slow
        hooked = await world.hook(receiver.url)
        await world.remind(reminder(hooked.user_id), reminder(hooked.user_id))

        async def begun() -> bool:
            return bool(receiver.requests)

        await eventually(begun, 10, "an attempt has begun")
        for lane in lanes:
            lane.stop()
        slow.set()

        async def ended() -> bool:
            row = await world.database.fetchrow("SELECT claim FROM channels")
            return row is not None and row["claim"] is None

        await eventually(ended, 5, "the channel is let go")
    deliveries = await world.deliveries(hooked)
    assert sorted(item.state for item in deliveries) == ["sent", "waiting"]
    assert not [item for item in deliveries if item.maybe_repeated]


async def test_what_is_old_is_forgotten_but_not_what_still_waits(world: World) -> None:
    hooked = await world.hook("http://127.0.0.1:9/")
    await world.remind(*(reminder(hooked.user_id) for _ in range(3)))
    await settled_claim(world)
    for table in ("notifications", "deliveries"):
        await world.database.fetch(f"UPDATE {table} SET created_at = now() - interval '91 days'")
    await world.remind(reminder(hooked.user_id))
    assert await prune(world.database) == 4
    assert await prune(world.database) == 0
    assert len(await world.notifications(hooked.user_id)) == 1
    assert [item.state for item in await world.deliveries(hooked)] == ["waiting"] * 3


async def test_an_outcome_is_written_once_though_its_writer_cannot_know(world: World) -> None:
    """Whose connection broke tries again, and there is one event."""
    hooked = await world.hook("http://127.0.0.1:9/")
    await world.remind(reminder(hooked.user_id))
    (claim,) = await claim_channels(world.database, "webhook", 10, working=False)
    (parcel,) = claim.parcels
    outcome = Failed("the receiver answered 500", 500)
    assert await settle(world.database, parcel, outcome, Verdict("failed"), OFF)
    assert not await settle(world.database, parcel, outcome, Verdict("failed"), OFF)
    assert len(await world.events(hooked.user_id, "taskflow.notification.failed")) == 1
