"""The world of a campaign: every process of TaskFlow, over servers reached through proxies."""

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex
from shutil import rmtree
from tempfile import mkdtemp
from urllib.parse import urlsplit, urlunsplit

from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.embedded.kafka import KafkaServer
from streams.embedded.ports import choose_port
from streams.embedded.postgres import PostgresServer
from streams.store.database import Database, open_database
from streams.store.migrations import migrate_up
from streams.transport.interface import Transport
from streams.transport.opening import open_transport
from tests.campaign.evidence import WATCH_LEDGER
from tests.campaign.proxy import Proxy
from tests.servers import JARS, Servers
from tests.stack import Stack

DISK_MIB = 1_500
PROCESSES = (
    *("api", "gateway", "relay-1", "relay-2", "audit-1", "audit-2"),
    *("recurrence-1", "recurrence-2", "reminders-1", "reminders-2"),
    *("notifications-1", "webhooks-1"),
)


@dataclass(slots=True)
class World:
    """A running TaskFlow; `database` and `transport` go to the servers without a proxy."""

    stack: Stack
    servers: Servers
    database: Database
    transport: Transport
    database_proxy: Proxy
    broker_proxy: Proxy
    disk: Path | None
    """The small file system that both servers write to; None where none could be mounted."""


@asynccontextmanager
async def running_world(logs: Path) -> AsyncIterator[World]:
    """Start everything, wait until it is ready, and end all of it with the context."""
    with small_disk() as disk:
        servers = Servers()
        if disk is not None:
            rmtree(servers.directory)
            servers.directory = disk
        try:
            async with _world_on(servers, logs, disk) as world, world.stack.running():
                yield world
        finally:
            servers.stop()
            if disk is None:
                rmtree(servers.directory, ignore_errors=True)


@asynccontextmanager
async def _world_on(servers: Servers, logs: Path, disk: Path | None) -> AsyncIterator[World]:
    broker_proxy = await _start_broker(servers)
    postgres: PostgresServer = await asyncio.to_thread(lambda: servers.postgres)
    direct = postgres.make_database("campaign")
    database_proxy = Proxy(urlsplit(direct).port or 0)
    await database_proxy.start()
    settings = Settings(
        _env_file=None,
        database_url=_with_port(direct, database_proxy.port),
        kafka_bootstrap_servers=f"127.0.0.1:{broker_proxy.port}",
        kafka_partitions=4,
        jwt_secret=token_hex(32),
    )
    straight = settings.model_copy(
        update={"kafka_bootstrap_servers": servers.kafka.bootstrap_servers}
    )
    try:
        async with open_database(direct) as database, open_transport(straight) as transport:
            await migrate_up(database)
            for statement in WATCH_LEDGER:
                await database.fetch(statement)
            await transport.create_topics(TOPICS)
            stack = Stack(settings, logs)
            for name in PROCESSES:
                stack.add(name)
            yield World(stack, servers, database, transport, database_proxy, broker_proxy, disk)
    finally:
        await database_proxy.close()
        await broker_proxy.close()


async def _start_broker(servers: Servers) -> Proxy:
    """Start Kafka so that it sends those who come through the proxy there again."""
    server = KafkaServer(servers.directory / "kafka", JARS)
    await asyncio.to_thread(server.prepare, print)
    proxied = choose_port(None)
    proxy = Proxy(proxied)
    await proxy.start()
    file = servers.directory / "kafka" / "server.properties"
    text = file.read_text()
    text = re.sub(
        r"^listeners=(.*)$",
        rf"listeners=\1,PROXIED://127.0.0.1:{proxied}",
        text,
        flags=re.MULTILINE,
    )
    advertised = rf"advertised.listeners=\1,PROXIED://127.0.0.1:{proxy.port}"
    text = re.sub(r"^advertised.listeners=(.*)$", advertised, text, flags=re.MULTILINE)
    protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,PROXIED:PLAINTEXT"
    file.write_text(f"{text}listener.security.protocol.map={protocols}\n")
    await asyncio.to_thread(server.start)
    servers.__dict__["kafka"] = server
    return proxy


@contextmanager
def small_disk() -> Iterator[Path | None]:
    """Mount a small file system in memory, where this user may; without it nothing gets full."""
    place = Path(mkdtemp(prefix="taskflow-campaign-"))
    options = f"size={DISK_MIB}m,mode=0755"
    mounted = (
        os.geteuid() == 0
        and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], check=False
        ).returncode
        == 0
    )
    try:
        yield place if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=False)
        place.rmdir()


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(
        parts._replace(netloc=f"{parts.username}:{parts.password}@{parts.hostname}:{port}")
    )
