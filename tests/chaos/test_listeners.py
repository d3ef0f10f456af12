"""Guarantee 5: a client that comes back gets every event that it missed, once, and in order."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

import pytest

from schemas.ids import new_id
from schemas.tokens import TokenKey
from schemas.topics import TASK_UPDATES
from streams.store.database import Database
from streams.transport.interface import Message, Place, Transport
from tests.chaos.campaign import Campaign
from tests.chaos.listeners import Listener, check_listeners
from tests.chaos.nemesis import Fault, strike

END_S_MAX = 120.0
BURST = 20

_WRITE = """
    INSERT INTO outbox (event_id, type, source, user_id, subject, occurred_at, data)
    SELECT event_id, 'taskflow.task.updated', '/test', user_id, user_id::text, clock_timestamp(),
           json_build_object('number', number)
      FROM unnest($1::uuid[], $2::uuid[], $3::integer[]) AS event (event_id, user_id, number)"""


async def write_events(
    database: Database, users: Sequence[UUID], events_each: int, within_s: float
) -> None:
    """Write numbered events of all users to the outbox, in bursts, over some seconds."""
    numbers = dict.fromkeys(users, 0)
    total, written, began_at = len(users) * events_each, 0, monotonic()
    dice = random.Random(1)
    while written < total:
        open_users = [user for user in users if numbers[user] < events_each]
        burst = []
        for user in dice.choices(open_users, k=BURST):
            if numbers[user] < events_each:
                burst.append((new_id(), user, numbers[user]))
                numbers[user] += 1
        await database.fetch(_WRITE, *map(list, zip(*burst, strict=True)))
        written += len(burst)
        await asyncio.sleep(max(0.0, began_at + within_s * written / total - monotonic()))


async def plant_duplicates(transport: Transport, count: int, pause_s: float) -> int:
    """Publish records again that are near the end of their partition, as a relay may."""
    planted, dice = 0, random.Random(2)
    while planted < count:
        await asyncio.sleep(pause_s)
        for partition, extent in (await transport.extents(TASK_UPDATES.name)).items():
            begin = max(extent.start, extent.end - dice.randint(1, 200))
            if begin == extent.end:
                continue
            async with transport.tail(TASK_UPDATES.name, {partition: begin}) as tail:
                again = [
                    Message(r.topic, r.key or b"", r.value or b"", r.headers, r.partition)
                    for r in await tail.read(dice.randint(1, 5), 5)
                ]
            results = await transport.publish_many(again)
            planted += sum(isinstance(result, Place) for result in results)
    return planted


@pytest.mark.parametrize(
    ("seed", "clients", "events", "within_s"),
    [
        pytest.param(1, 20, 1_000, 10.0, id="short"),
        *(
            pytest.param(n, 200, 20_000, 90.0, id=f"long-{n}", marks=pytest.mark.long)
            for n in range(1, 6)
        ),
    ],
)
async def test_every_client_gets_every_event_once_and_in_order(
    campaign: Campaign, seed: int, clients: int, events: int, within_s: float
) -> None:
    """Clients go and come; gateway, relays and broker are killed, stopped and woken."""
    stack, nemesis = campaign.stack, campaign.nemesis
    for name in ("gateway", "relay-1", "relay-2"):
        stack.add(name)
    faults: list[Fault] = [
        nemesis.kill("gateway"),
        nemesis.kill("gateway"),
        nemesis.stop_process("gateway", 3.0),
        nemesis.kill("relay-1"),
        nemesis.stop_leader(5.0),
        nemesis.restart_broker(),
    ]
    secret = campaign.stack.settings.required_jwt_secret()
    users = [new_id() for _ in range(clients // 4)]
    listeners = [
        Listener(
            stack.ws_url,
            user,
            TokenKey(secret).issue(user, new_id(), datetime.now(UTC)),
            random.Random(f"{seed}/{number}"),
        )
        for number, user in enumerate(users * 4)
    ]
    events_each = events // len(users)
    async with stack.running():
        listening = [asyncio.create_task(one.run(events_each)) for one in listeners]
        await asyncio.gather(*(one.ready.wait() for one in listeners))
        planting = asyncio.create_task(
            plant_duplicates(campaign.transport, events // 50, within_s / 40)
        )
        await asyncio.gather(
            write_events(campaign.database, users, events_each, within_s),
            strike(faults, within_s * 0.8, seed),
        )
        done, late = await asyncio.wait(listening, timeout=END_S_MAX)
        for task in (*late, planting):
            task.cancel()
        await asyncio.wait({*late, planting})
    closes = sum((one.closes for one in listeners), Counter[int | None]())
    print(
        f"\nseed {seed}: {len(done)} of {len(listeners)} clients have all of {events_each} events;"
        f" {sum(one.resumed for one in listeners)} resumed; closed {dict(closes)};"
        f" starts { {name: child.starts for name, child in stack.children.items()} }"
    )
    check_listeners(listeners, events_each)
