"""A client that comes back gets exactly what it missed, or is told to load afresh."""

import asyncio
from dataclasses import replace
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from websockets.asyncio.client import ClientConnection

from gateway.limits import Limits
from gateway.resume import SEARCHED_BYTES
from schemas.frames import Close
from schemas.ids import new_id
from schemas.positions import Position
from streams.transport.interface import TransportUnavailableError
from tests.integration.gateway_world import (
    SEAL,
    Frame,
    World,
    closed,
    frame,
    hello,
    token,
    until,
    world,
)

TINY = Limits(recent_bytes_max=10_000, sieve_records=20)
"""About ten events in memory; the log has to be read for all before them."""


def searched() -> float:
    return float(SEARCHED_BYTES._value.get())


async def missed(client: ClientConnection) -> tuple[list[Frame], Frame]:
    """Read event frames until `resumed`, and give both."""
    events = []
    while (read := await frame(client))["type"] == "event":
        events.append(read)
    assert read["type"] == "resumed"
    return events, read


async def where(here: World, user: UUID) -> str:
    """Give a user's position at the end of what has been read."""
    async with here.connect(user) as client:
        return str((await hello(client))["position"])


async def read_all(here: World, user: UUID, offset: int) -> None:
    """Wait until the gateway has read a user's partition up to an offset."""
    await until(lambda: here.running.gateway.feed.lane_of(user).next_offset > offset)


@pytest.mark.parametrize("limits", [Limits(), TINY], ids=["memory", "log"])
async def test_what_was_missed_comes_in_order_and_then_what_is_live(limits: Limits) -> None:
    """`hello` has the client's own position, and `resumed` that of the last event."""
    user, other = uuid4(), uuid4()
    async with world(limits) as here:
        await here.publish(user)
        position = await where(here, user)
        sent = []
        for _ in range(100):
            sent.append((await here.publish(user)).offset)
            await here.publish(other)
        await read_all(here, user, sent[-1])
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            assert (await hello(client))["position"] == position
            events, resumed = await missed(client)
            assert [SEAL.read(e["position"], user).offset for e in events] == sent
            assert resumed == {
                "type": "resumed",
                "recovered": True,
                "position": events[-1]["position"],
            }
            live = await here.publish(user)
            assert SEAL.read((await frame(client))["position"], user).offset == live.offset


async def test_who_missed_nothing_is_told_so_and_nothing_is_read() -> None:
    """Its own position stands in `resumed`."""
    user = uuid4()
    async with world(Limits()) as here:
        await here.publish(user)
        position, before = await where(here, user), searched()
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            events, resumed = await missed(client)
            assert (events, resumed["recovered"], resumed["position"]) == ([], True, position)
        assert searched() == before


async def test_one_users_few_events_are_read_and_not_those_of_everyone() -> None:
    """The index knows where they stand."""
    user, other = uuid4(), uuid4()
    async with world(replace(TINY, read_records_max=5)) as here:
        await here.publish(user)
        position = await where(here, user)
        places = []
        for number in range(2_000):
            if number % 700 == 0:
                places.append(await here.publish(user, filler=500))
            await here.publish(other, filler=500)
        await read_all(here, user, places[-1].offset)
        before = searched()
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            events, _ = await missed(client)
            assert len(events) == len(places)
        assert searched() - before < 30 * 1_000


async def test_events_that_come_while_a_client_resumes_come_once() -> None:
    """Nothing between what was missed and what is live is lost or doubled."""
    user = uuid4()
    async with world(replace(TINY, read_records_max=7)) as here:
        await here.publish(user)
        position = await where(here, user)
        sent = [(await here.publish(user)).offset for _ in range(200)]
        await read_all(here, user, sent[-1])

        async def go_on() -> None:
            for _ in range(300):
                sent.append((await here.publish(user)).offset)
                await asyncio.sleep(0)

        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            publishing = asyncio.create_task(go_on())
            await hello(client)
            got: list[int] = []
            while len(got) < 500:
                read = await frame(client)
                if read["type"] == "event":
                    got.append(SEAL.read(read["position"], user).offset)
                else:
                    assert read["recovered"]
            await publishing
        assert got == sent


async def test_memory_may_go_on_while_a_client_waits_for_its_turn_to_read_the_log() -> None:
    """What was in memory when the client came, and is not when its turn comes, is read too."""
    user = uuid4()
    async with world(replace(TINY, searches_at_a_time=0)) as here:
        await here.publish(user)
        position = await where(here, user)
        sent = [(await here.publish(user)).offset for _ in range(50)]
        await read_all(here, user, sent[-1])
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            sent += [(await here.publish(user)).offset for _ in range(50)]
            await read_all(here, user, sent[-1])
            reader = asyncio.create_task(here.running.gateway.resumer.run())
            events, resumed = await missed(client)
            reader.cancel()
        assert resumed["recovered"]
        assert [SEAL.read(event["position"], user).offset for event in events] == sent


async def test_a_row_sent_twice_around_the_position_comes_once() -> None:
    """Also to a gateway that was started between the two."""
    user, event_id = uuid4(), new_id()
    async with world(TINY) as here:
        first = await here.publish(user, event_id)
        await here.publish(user)
        await here.publish(user, event_id)
        last = await here.publish(user)
        await read_all(here, user, last.offset)
        position = SEAL.write(Position.of_event(first.partition, first.offset, event_id), user)
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            events, _ = await missed(client)
            offsets = [SEAL.read(e["position"], user).offset for e in events]
            assert offsets == [first.offset + 1, last.offset]


async def test_a_position_of_another_topic_of_this_name_is_unknown() -> None:
    """Another event stands there, or none yet; the client is live all the same."""
    user = uuid4()
    async with world(Limits()) as here:
        place = await here.publish(user)
        await read_all(here, user, place.offset)
        for offset in (place.offset, place.offset + 100):
            position = SEAL.write(Position(place.partition, offset, b"stranger"), user)
            async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
                assert (await hello(client))["position"] == position
                events, resumed = await missed(client)
                assert (events, resumed["recovered"], resumed["reason"]) == ([], False, "unknown")
                live = await here.publish(user)
                assert SEAL.read((await frame(client))["position"], user).offset == live.offset


async def test_another_users_position_is_unknown() -> None:
    """It opens nothing."""
    user, other = uuid4(), uuid4()
    async with world(Limits()) as here:
        place = await here.publish(other)
        await read_all(here, other, place.offset)
        position = await where(here, other)
        await here.publish(other)
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            events, resumed = await missed(client)
            assert (events, resumed["reason"]) == ([], "unknown")


async def test_who_missed_too_much_is_told_and_gets_none_of_it() -> None:
    """`recovered: false` comes with no missed events."""
    user = uuid4()
    async with world(replace(TINY, found_bytes_max=5_000, indexed_events_max=0)) as here:
        await here.publish(user)
        position = await where(here, user)
        for _ in range(100):
            last = await here.publish(user)
        await read_all(here, user, last.offset)
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            events, resumed = await missed(client)
            assert (events, resumed["recovered"], resumed["reason"]) == ([], False, "too_much")


async def test_who_was_away_for_too_long_is_told_so_without_reading() -> None:
    """However little of it was its own."""
    user, other = uuid4(), uuid4()
    limits = replace(TINY, search_records_max=100, indexed_events_max=0)
    async with world(limits) as here:
        await here.publish(user)
        position = await where(here, user)
        for _ in range(800):
            await here.publish(uuid4())
            await here.publish(other)
        last = await here.publish(user)
        await read_all(here, user, last.offset)
        before = searched()
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            events, resumed = await missed(client)
            assert (events, resumed["reason"]) == ([], "too_much")
        assert searched() == before


async def test_a_position_in_a_first_frame_resumes_as_well() -> None:
    user = uuid4()
    async with world(Limits()) as here:
        await here.publish(user)
        position = await where(here, user)
        place = await here.publish(user)
        await read_all(here, user, place.offset)
        async with here.connect() as client:
            await client.send(f'{{"type":"auth","token":"{token(user)}","position":"{position}"}}')
            await hello(client)
            events, _ = await missed(client)
            assert [SEAL.read(e["position"], user).offset for e in events] == [place.offset]


async def test_a_client_that_resumes_while_the_log_is_away_is_sent_away_to_come_again() -> None:
    """4004: it keeps its position."""
    user = uuid4()
    async with world(replace(TINY, resume_s_max=0.2, indexed_events_max=0)) as here:
        await here.publish(user)
        position = await where(here, user)
        for _ in range(50):
            last = await here.publish(user)
        await read_all(here, user, last.offset)
        here.log.fault = TransportUnavailableError("on request")
        async with here.connect(user, path=f"/ws?position={quote(position)}") as client:
            await hello(client)
            assert await closed(client) == (Close.LOG_UNAVAILABLE.code, "log_unavailable")


async def test_many_that_come_back_at_once_are_served_by_few_readers() -> None:
    """Those of one partition are searched for together."""
    users = [uuid4() for _ in range(60)]
    async with world(replace(TINY, indexed_events_max=0)) as here:
        positions = {}
        for user in users:
            await here.publish(user)
        for user in users:
            positions[user] = await where(here, user)
        for _ in range(10):
            last = [await here.publish(user) for user in users]
        for user, place in zip(users, last, strict=True):
            await read_all(here, user, place.offset)
        before, size = searched(), 400 * 60 * 11

        async def come_back(user: UUID) -> None:
            path = f"/ws?position={quote(positions[user])}"
            async with here.connect(user, path=path) as client:
                await hello(client)
                events, resumed = await missed(client)
                assert (len(events), resumed["recovered"]) == (10, True)

        await asyncio.gather(*(come_back(user) for user in users))
        assert searched() - before < 8 * size


async def test_a_client_may_ask_for_some_types_only() -> None:
    """Live and missed ones; nothing else is sent to it."""
    user = uuid4()
    async with world(Limits()) as here:
        await here.publish(user)
        position = quote(await where(here, user))
        place = await here.publish(user)
        await read_all(here, user, place.offset)
        path = f"/ws?position={position}&types=taskflow.reminder.*,taskflow.task.deleted"
        async with here.connect(user, path=path) as client:
            await hello(client)
            events, resumed = await missed(client)
            assert (events, resumed["recovered"]) == ([], True)
        async with here.connect(user, path=f"/ws?position={position}&types=taskflow.task.*") as c:
            await hello(c)
            assert len((await missed(c))[0]) == 1
        async with here.connect(user, path="/ws?types=taskflow.task.created") as client:
            await hello(client)
            live = await here.publish(user)
            assert SEAL.read((await frame(client))["position"], user).offset == live.offset
