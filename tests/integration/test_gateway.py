"""What a client of the gateway is sent: hello, its user's events, and nothing else."""

import asyncio
from uuid import UUID, uuid4

from gateway.server import open_gateway
from schemas.ids import new_id
from schemas.positions import Position
from schemas.topics import TASK_UPDATES
from streams.transport.interface import (
    Headers,
    Message,
)
from tests.integration.gateway_world import (
    PING,
    SEAL,
    FaultyLog,
    World,
    frame,
    hello,
    publish,
    settings_of_a_test,
    until,
    world,
)


async def test_hello_comes_first_then_the_users_events_with_their_positions() -> None:
    user = uuid4()
    async with world() as here, here.connect(user) as client:
        first = await hello(client)
        assert first["protocol"] == "taskflow.v1"
        assert (first["user_id"], first["heartbeat_s"]) == (str(user), 25)
        assert SEAL.read(first["position"], user).offset == -1
        event_id = new_id()
        place = await here.publish(user, event_id)
        event = await frame(client)
        assert set(event) == {"type", "position", "event"}
        assert event["event"]["id"] == str(event_id)
        expected = Position.of_event(place.partition, place.offset, event_id)
        assert SEAL.read(event["position"], user) == expected


async def test_hello_has_the_latest_position_and_older_events_do_not_come() -> None:
    user = uuid4()
    async with world() as here:
        for _ in range(5):
            place = await here.publish(user)
        await until(lambda: here.running.gateway.feed.latest_of(user).offset == place.offset)
        async with here.connect(user) as client:
            position = SEAL.read((await hello(client))["position"], user)
            assert (position.partition, position.offset) == (place.partition, place.offset)
            after = await here.publish(user)
            event = await frame(client)
            assert SEAL.read(event["position"], user).offset == after.offset


async def test_a_gateway_that_starts_late_begins_at_the_end() -> None:
    """What was in the log before is not sent, its positions are known, its ids not repeated."""
    user, event_id = uuid4(), new_id()
    settings = settings_of_a_test()
    log = FaultyLog(settings)
    await log.create_topics([TASK_UPDATES])
    before = await publish(log, user, event_id)
    async with open_gateway(settings, log) as running:
        here = World(log, running)
        await until(lambda: running.tail.trouble is None)
        async with here.connect(user) as client:
            assert SEAL.read((await hello(client))["position"], user).offset == before.offset
            await here.publish(user, event_id)
            after = await here.publish(user)
            assert SEAL.read((await frame(client))["position"], user).offset == after.offset


async def test_two_users_never_see_each_others_events() -> None:
    users = [uuid4() for _ in range(8)]
    async with world() as here:
        clients = [await here.connect(user).__aenter__() for user in users]
        for client in clients:
            await hello(client)
        sent: dict[UUID, list[str]] = {user: [] for user in users}
        for _ in range(10):
            for user in users:
                event_id = new_id()
                sent[user].append(str(event_id))
                await here.publish(user, event_id)
        for user, client in zip(users, clients, strict=True):
            got = [await frame(client) for _ in range(10)]
            assert [event["event"]["id"] for event in got] == sent[user]
            assert {event["event"]["partitionkey"] for event in got} == {str(user)}
            await client.send(PING)
            assert await frame(client) == {"type": "pong"}  # nothing else was on its way
            await client.close()


async def test_every_connection_of_a_user_gets_the_same_bytes() -> None:
    user = uuid4()
    async with world() as here, here.connect(user) as one, here.connect(user) as two:
        await hello(one)
        await hello(two)
        await here.publish(user)
        assert await one.recv(decode=False) == await two.recv(decode=False)


async def test_no_event_falls_between_hello_and_live() -> None:
    """Whoever connects in a stream of events gets exactly those behind hello's position."""
    user, count = uuid4(), 400
    async with world() as here:
        ids: list[str] = []

        async def publish() -> None:
            for _ in range(count):
                event_id = new_id()
                ids.append(str(event_id))
                await here.publish(user, event_id)
                await asyncio.sleep(0)

        async def follow() -> None:
            async with here.connect(user) as client:
                offset = SEAL.read((await hello(client))["position"], user).offset
                got: list[str] = []
                while not got or got[-1] != ids[-1] or len(ids) < count:
                    got.append((await frame(client))["event"]["id"])
                assert got == ids[offset + 1 :]

        async with asyncio.TaskGroup() as tasks:
            publishing = tasks.create_task(publish())
            followers = 0
            while not publishing.done() and followers < 40:
                tasks.create_task(follow())
                followers += 1
                await asyncio.sleep(0.002)
            await publishing
            await here.publish(user, UUID(ids[-1]))
        assert followers > 3


async def test_an_event_id_comes_once_and_a_lower_epoch_not_at_all() -> None:
    user, event_id = uuid4(), new_id()

    def epoch(number: int) -> Headers:
        return (("epoch", str(number).encode()),)

    async with world() as here, here.connect(user) as client:
        await hello(client)
        places = [
            await here.publish(user, event_id, epoch(2)),
            await here.publish(user, event_id, epoch(2)),
            await here.publish(user, None, epoch(1)),
            await here.publish(user, None, epoch(3)),
            await here.publish(user, None, epoch(2)),
            await here.publish(user),
        ]
        got = [SEAL.read((await frame(client))["position"], user).offset for _ in range(3)]
        assert got == [places[0].offset, places[3].offset, places[5].offset]


async def test_a_bad_record_does_not_stop_the_next_one() -> None:
    user = uuid4()
    async with world() as here, here.connect(user) as client:
        await hello(client)
        await here.log.publish(Message(TASK_UPDATES.name, str(user).encode(), b"{"))
        await here.log.publish(Message(TASK_UPDATES.name, b"stranger", b"[]"))
        place = await here.publish(user)
        assert SEAL.read((await frame(client))["position"], user).offset == place.offset


async def test_a_position_that_is_brought_is_answered_and_never_ignored() -> None:
    user = uuid4()
    async with world() as here, here.connect(user, path="/ws?position=x") as client:
        position = (await hello(client))["position"]
        assert await frame(client) == {
            "type": "resumed",
            "recovered": False,
            "position": position,
            "reason": "unknown",
        }
