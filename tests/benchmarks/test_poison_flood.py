"""What a flood of bad messages costs the good ones: one in ten is bad, turn about with none."""

from collections.abc import Sequence
from pathlib import Path
from secrets import token_hex
from statistics import median
from time import monotonic

import pytest

from schemas.settings import Settings
from schemas.topics import TASK_EVENTS, TOPICS
from streams.store.database import open_database
from streams.transport.interface import Message, Place
from streams.transport.opening import open_transport
from tests.integration.effects.effects_world import KEY
from tests.integration.effects.test_audit import change
from tests.servers import Servers
from tests.stack import Stack
from tests.waiting import eventually

GOOD, BAD = 45_000, 5_000
ROUNDS = 3
SLOWED_MAX = 1.25
DRAIN_S_MAX = 180.0
"""By the good ones' rate without any bad ones over their rate among them."""


def messages(*, bad: bool) -> Sequence[Message]:
    """Give good events, with bad ones of two kinds spread among them: no event, and no task."""
    values = []
    for number in range(GOOD):
        values.append(change(number + 1))
        if bad and number % (2 * GOOD // BAD) == 0:
            values += [b"{not json", change(number + 1, id=None)]
    return [Message(TASK_EVENTS.name, KEY, value, partition=0) for value in values]


async def rate(servers: Servers, template: str, logs: Path, *, bad: bool) -> float:
    """Give how many good events a second a worker writes, from its first to its last."""
    settings = Settings(
        _env_file=None,
        database_url=servers.postgres.make_database(f"flood_{token_hex(4)}", template),
        kafka_bootstrap_servers=servers.kafka.bootstrap_servers,
        kafka_topic_prefix=f"flood-{token_hex(4)}.",
        kafka_partitions=4,
        jwt_secret=token_hex(32),
    )
    stack = Stack(settings, logs)
    stack.add("audit")
    async with (
        open_transport(settings) as transport,
        open_database(settings.required_database_url()) as database,
    ):
        await transport.create_topics(TOPICS)
        wanted = messages(bad=bad)
        for start in range(0, len(wanted), 2_000):
            results = await transport.publish_many(wanted[start : start + 2_000])
            assert all(isinstance(result, Place) for result in results)

        async def done() -> int:
            row = await database.fetchrow("SELECT count(*) AS rows FROM audit_log")
            return int(row["rows"]) if row else 0

        async def begun() -> bool:
            return await done() > 0

        async def ended() -> bool:
            return await done() == GOOD

        async with stack.running():
            await eventually(begun, 60, "the worker has begun")
            first, began_at = await done(), monotonic()
            await eventually(ended, DRAIN_S_MAX, "all good ones are written")
            return (GOOD - first) / (monotonic() - began_at)


@pytest.mark.long
async def test_a_flood_of_bad_messages_slows_the_good_ones_by_less_than_a_quarter(
    servers: Servers, template: str, tmp_path: Path
) -> None:
    without, among = [], []
    for _ in range(ROUNDS):
        without.append(await rate(servers, template, tmp_path, bad=False))
        among.append(await rate(servers, template, tmp_path, bad=True))
    slowed = [one / other for one, other in zip(without, among, strict=True)]
    print(
        f"\n{GOOD:,} good ones: {median(without):,.0f}/s without and {median(among):,.0f}/s among"
        f" {BAD:,} bad ones: {median(slowed):.2f} times as slow"
        f" ({min(slowed):.2f} to {max(slowed):.2f} in {ROUNDS} pairs)"
    )
    assert median(slowed) < SLOWED_MAX
