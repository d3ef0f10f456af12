"""Shipping: nothing is lost, an older version is never last, one batch a partition at a time."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from schemas.topics import TOPICS
from streams.observability.health import NotReadyError
from streams.relay import leadership, shipping
from streams.relay.leadership import Leadership
from streams.relay.shipping import DeposedError, Shipping
from streams.store import lease, outbox
from streams.store.database import Database, Fault, StoreError
from streams.transport.interface import (
    Message,
    Place,
    TransportError,
    TransportUnavailableError,
    UnknownTopicError,
)
from streams.transport.memory import MemoryTransport
from tests.integration.relay.outbox_world import (
    FaultyLog,
    Relay,
    check_versions,
    drained,
    log_of,
    memory_settings,
    subjects,
    write,
)
from tests.waiting import eventually

TASKS = subjects(3)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let failures be tried again at once, and a burst be many rounds."""
    monkeypatch.setattr(shipping, "PAUSE_S", 0.001)
    monkeypatch.setattr(shipping, "ROWS_MAX", 7)


@pytest.fixture
def long_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a lease last for the whole test, without a renewal that would wake the relay."""
    for module in (lease, leadership):
        monkeypatch.setattr(module, "LEASE", timedelta(minutes=5))
    monkeypatch.setattr(leadership, "RENEW_S", 300.0)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("seed", range(4))
async def test_a_burst_over_a_failing_log_loses_nothing_and_keeps_the_order(
    database: Database, seed: int
) -> None:
    """Sends that are refused, late, or answered by nobody, in the midst of bursts on few tasks."""
    log = FaultyLog(memory_settings(), seed, failing=0.4)
    async with Relay(database, log).running():
        for version in range(1, 41):
            for subject, user in TASKS.items():
                await write(database, version, subject=subject, user=user)
        await drained(database)
    assert log.failures > 3
    for topic in ("task-events", "task-updates"):
        found = await log_of(log, topic)
        assert len({record.event_id for record in found}) == 3 * 40
        check_versions(found)


@pytest.mark.usefixtures("quick")
async def test_after_a_failure_a_new_epoch_begins(database: Database) -> None:
    """So that readers can drop what comes late; epochs in a partition never fall."""
    log = FaultyLog(memory_settings(), seed=1, failing=0.5)
    async with Relay(database, log).running():
        for version in range(1, 31):
            await write(database, version)
        await drained(database)
    epochs = [record.epoch for record in await log_of(log)]
    assert epochs[-1] > 1
    row = await database.fetchrow("SELECT epoch FROM relay_lease")
    assert row is not None
    assert row["epoch"] > 1


class BusyLeadership(Leadership):
    """Leadership over a database that refuses to begin an epoch, so many times."""

    refusals = 2

    async def renew(self, *, new_epoch: bool = False) -> None:
        if new_epoch and self.refusals:
            self.refusals -= 1
            raise StoreError(Fault.TRANSIENT, "on request")
        await super().renew(new_epoch=new_epoch)


@pytest.mark.usefixtures("quick")
async def test_nothing_is_sent_after_a_failure_before_a_new_epoch_has_begun(
    database: Database,
) -> None:
    """What failed may come late, long after its id was forgotten: by its epoch it is dropped."""
    log = FaultyLog(memory_settings(), seed=5, failing=1.0)
    await log.create_topics(TOPICS)
    leading = BusyLeadership(database, lambda: None)
    relay = Shipping(database, log, leading)
    await leading.renew()
    await write(database, 1)
    for _ in range(leading.refusals):
        with pytest.raises(StoreError, match="on request"):
            await relay.ship_once(1)
        log.failing = 0.0
    before = await log_of(log)
    assert not await relay.ship_once(1)
    assert await log_of(log) == before
    assert leading.epoch() == 2
    assert await relay.ship_once(2)
    assert (await log_of(log))[-1].epoch == 2


async def test_a_lower_seq_that_commits_later_is_still_sent(database: Database) -> None:
    """A transaction holds a lower number while a higher one is published and deleted."""
    log = MemoryTransport(memory_settings())
    async with Relay(database, log).running():
        async with database.transaction() as slow:
            late = await write(slow, 1, subject="late")
            early = await write(database, 1, subject="early")

            async def early_is_sent() -> bool:
                return [record.event_id for record in await log_of(log)] == [early]

            await eventually(early_is_sent, 10, "the higher number is in the log")
            await drained(database)
        await drained(database)
    assert {record.event_id for record in await log_of(log)} == {early, late}


@pytest.mark.usefixtures("long_lease")
async def test_a_lost_notification_is_made_up_for_by_the_poll(database: Database) -> None:
    """A row that nobody rang for is sent all the same, about `POLL_S` later."""
    log = MemoryTransport(memory_settings())
    async with Relay(database, log).running():
        await write(database, 1)
        await drained(database, 5)
        await write(database, 2)
        await drained(database, 5)
    check_versions(await log_of(log))


@pytest.mark.usefixtures("long_lease")
async def test_a_ring_wakes_the_relay(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after its listening connection was ended: it listens again."""
    monkeypatch.setattr(shipping, "POLL_S", 300.0)
    log = MemoryTransport(memory_settings())
    async with Relay(database, log).running() as relay:
        await drained(database)

        async def listens() -> bool:
            rows = await database.fetch(
                """SELECT 1 FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE 'LISTEN%'"""
            )
            return bool(rows) and relay.leadership.epoch() is not None

        for version in (1, 2):
            await eventually(listens, 10, "the relay listens")
            await write(database, version)
            await outbox.ring(database)
            await drained(database, 5)
            await database.fetch(
                """SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
                    WHERE datname = current_database() AND query LIKE 'LISTEN%'"""
            )
            relay.wake.set()


async def test_the_outbox_does_not_grow(database: Database) -> None:
    """Rows are deleted, and their space is used again."""
    log = MemoryTransport(memory_settings())
    sizes: list[int] = []
    async with Relay(database, log).running():
        for _ in range(3):
            await database.fetch(
                """INSERT INTO outbox
                       (event_id, type, source, user_id, subject, occurred_at, data)
                   SELECT gen_random_uuid(), 'taskflow.task.updated', '/test', gen_random_uuid(),
                          'x', now(), json_build_object('version', n)
                     FROM generate_series(1, 600) AS n"""
            )
            await drained(database)
            await database.fetch("VACUUM outbox")
            row = await database.fetchrow("SELECT pg_relation_size('outbox') AS size")
            assert row is not None
            sizes.append(row["size"])
    assert sizes[-1] <= sizes[0]
    assert len(await log_of(log)) == 1_800


@pytest.mark.usefixtures("quick")
async def test_a_log_that_refuses_the_whole_call_is_waited_for(database: Database) -> None:
    """A topic that is missing, or brokers that cannot even be asked for it, end no relay."""

    class Refusing(MemoryTransport):
        refusals: list[TransportError] = [  # noqa: RUF012 - used up by one instance
            TransportUnavailableError("no broker"),
            UnknownTopicError("no topic"),
        ]
        red: str | None = None

        async def publish_many(
            self, messages: Sequence[Message]
        ) -> Sequence[Place | TransportError]:
            if self.refusals:
                raise self.refusals.pop()
            return await super().publish_many(messages)

    log = Refusing(memory_settings())
    async with Relay(database, log).running() as relay:
        await write(database, 1)
        await drained(database)
        assert log.refusals == []
        assert relay.shipping.settled
    check_versions(await log_of(log))


@pytest.mark.usefixtures("quick")
async def test_a_relay_that_cannot_ship_is_red_until_it_can(database: Database) -> None:
    log = FaultyLog(memory_settings(), seed=0, failing=1.0)
    async with Relay(database, log).running() as relay:
        await relay.shipping.check()
        await write(database, 1)

        async def red() -> bool:
            return relay.shipping.trouble is not None

        await eventually(red, 10, "the relay is red")
        with pytest.raises(NotReadyError, match="2 messages wait for the log"):
            await relay.shipping.check()
        log.failing = 0.0
        await drained(database)
        await relay.shipping.check()


async def test_a_row_of_a_newer_program_holds_up_nobody(database: Database) -> None:
    """It stays in the outbox for a relay that knows its type, and the relay says so."""
    log = MemoryTransport(memory_settings())
    async with Relay(database, log).running() as relay:
        await write(database, 1, event_type="taskflow.novelty.made")
        await write(database, 1)

        async def sent() -> bool:
            left = await outbox.count_unsent(database)
            return left == 1 and relay.shipping.trouble is not None

        await eventually(sent, 10, "the other row is sent")
        with pytest.raises(NotReadyError, match=r"taskflow\.novelty\.made"):
            await relay.shipping.check()
    assert len(await log_of(log)) == 1


@pytest.mark.usefixtures("quick")
async def test_a_lease_that_ends_with_a_batch_on_its_way_is_told(database: Database) -> None:
    """While nothing is on its way, or in the same term, nothing is told."""
    log = FaultyLog(memory_settings(), seed=0, failing=1.0)
    await log.create_topics(TOPICS)
    relay = Relay(database, log)
    await relay.leadership.renew()
    watching = asyncio.create_task(relay.shipping.watch())
    await write(database, 1)
    assert not await relay.shipping.ship_once(1)
    assert not relay.shipping.settled
    assert relay.leadership.epoch() == 2
    ended, _ = await asyncio.wait({watching}, timeout=0.3)
    assert not ended
    await database.fetch(
        "UPDATE relay_lease SET holder = gen_random_uuid(), expires_at = 'infinity'"
    )
    await relay.leadership.renew()
    with pytest.raises(DeposedError):
        await asyncio.wait_for(watching, 2)


async def test_a_lease_that_ended_while_rows_were_read_publishes_nothing(
    database: Database,
) -> None:
    """The clock is read after the database has answered, not before."""
    log = MemoryTransport(memory_settings())
    await log.create_topics(TOPICS)
    relay = Relay(database, log)
    await relay.leadership.renew()
    await write(database, 1)
    await relay.leadership.give_up()
    assert not await relay.shipping.ship_once(1)
    assert await log_of(log) == []
