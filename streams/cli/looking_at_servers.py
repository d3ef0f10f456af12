"""What `taskflow doctor` sees of the servers: database, log, topics, and their clocks."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime

from schemas.settings import Settings, TransportKind
from schemas.topics import TOPICS
from streams.cli.findings import Finding, bad, ok, warn
from streams.store.clock import DatabaseClock
from streams.store.database import Database, Fault, StoreError, open_database
from streams.store.migrations import load_migrations
from streams.store.server import newest_migration, server_version
from streams.transport.comparing import Difference, differences
from streams.transport.interface import TopicState, Transport, TransportError
from streams.transport.opening import open_transport

VERSION_MIN = 16
SKEW_S_MAX = 1.0


async def look_at_servers(settings: Settings) -> AsyncIterator[Finding]:
    """Look at those that the settings name; what is not set is told by others."""
    skews: dict[str, float] = {}
    if settings.database_url is not None:
        async for finding in _database(settings.database_url.get_secret_value(), skews):
            yield finding
    if settings.transport is TransportKind.MEMORY or settings.kafka_bootstrap_servers is not None:
        async for finding in _log(settings, skews):
            yield finding
    for finding in _clocks(skews):
        yield finding


async def _database(url: str, skews: dict[str, float]) -> AsyncIterator[Finding]:
    async with open_database(url, pool_size=1) as database:
        try:
            yield await _version(database)
            yield await _schema(database)
            skews["the database"] = await _skew_s(database)
        except StoreError as error:
            cure = (
                "check the user and the database's name in DATABASE_URL"
                if error.fault is Fault.SETUP
                else "start PostgreSQL, or mend DATABASE_URL"
            )
            yield bad("database", str(error), cure)


async def _version(database: Database) -> Finding:
    version = await server_version(database)
    if version < VERSION_MIN:
        cure = f"use PostgreSQL {VERSION_MIN} or newer"
        return bad("database", f"PostgreSQL {version} answers, which is too old", cure)
    return ok("database", f"PostgreSQL {version} answers")


async def _schema(database: Database) -> Finding:
    newest, known = await newest_migration(database), len(load_migrations())
    if newest < known:
        text = f"migration {newest} of {known} is applied"
        return bad("schema", text, "taskflow migrate up")
    if newest > known:
        text = f"migration {newest} is applied, and this program knows none above {known}"
        return bad("schema", text, "run the version of TaskFlow that made it")
    return ok("schema", f"all {known} migrations are applied")


async def _skew_s(database: Database) -> float:
    clock = DatabaseClock()
    await clock.measure(database)
    return (clock.now() - datetime.now(UTC)).total_seconds()


async def _log(settings: Settings, skews: dict[str, float]) -> AsyncIterator[Finding]:
    async with open_transport(settings) as transport:
        try:
            await transport.check()
            yield ok("log", "the brokers answer")
            for finding in await _topics(settings, transport):
                yield finding
            skew_s = await transport.clock_skew_s()
        except TransportError as error:
            yield bad("log", str(error), "start the brokers, or mend KAFKA_BOOTSTRAP_SERVERS")
            return
    if skew_s is None:
        yield ok("clocks", "these brokers do not tell theirs: check that they run NTP")
    else:
        skews["the log"] = skew_s


async def _topics(settings: Settings, transport: Transport) -> Sequence[Finding]:
    found = await transport.describe_topics(TOPICS)
    told = differences(
        TOPICS,
        found,
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
    )
    findings = [*(_about(one) for one in told), *_unequal(found)]
    return findings or [ok("topics", f"all {len(TOPICS)} are as the table has them")]


def _about(one: Difference) -> Finding:
    if one.name == "topic":
        return bad("topics", f"{one.topic} is missing", "taskflow topics")
    text = f"{one.topic} has {one.name} {one.found}, and should have {one.wanted}"
    return warn("topics", text, one.cure or "taskflow topics apply")


def _unequal(found: Mapping[str, TopicState]) -> Sequence[Finding]:
    """Warn of topics that have other numbers of partitions than each other."""
    counts = {state.partitions for state in found.values()}
    if len(counts) <= 1:
        return []
    text = f"they have {', '.join(map(str, sorted(counts)))} partitions, and should have the same"
    return [bad("topics", text, "drain them, and make those anew that have too few or too many")]


def _clocks(skews: dict[str, float]) -> Sequence[Finding]:
    """Compare each two of those that were asked, and this machine's own."""
    clocks = {"this machine": 0.0, **skews}
    names = list(clocks)
    findings = []
    for index, one in enumerate(names):
        for other in names[index + 1 :]:
            apart_s = clocks[other] - clocks[one]
            text = f"the clock of {other} is {apart_s:+.2f} s from that of {one}"
            if abs(apart_s) > SKEW_S_MAX:
                findings.append(warn("clocks", text, "run NTP on both machines"))
            else:
                findings.append(ok("clocks", text))
    return findings
