"""No secret is in a log, an answer of an error, a metric, a command line or the Kafka topics."""

import asyncio
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import httpx
import psutil
import pytest

from schemas.settings import Settings
from schemas.topics import TOPICS
from streams.transport.interface import Transport
from tests.integration.notifications.receivers import Mailbox, receiving, receiving_mail
from tests.integration.secrets.hoard import Hoard
from tests.integration.secrets.visit import WAIT_S, Visit
from tests.servers import Servers
from tests.stack import Child, Stack
from tests.waiting import eventually

PROCESSES = (
    *("api", "gateway", "relay", "audit", "recurrence", "reminders", "notifications", "webhooks"),
)


@asynccontextmanager
async def instance(
    settings: Settings, folder: Path, hoard: Hoard
) -> AsyncIterator[tuple[Stack, Mailbox]]:
    """Run all processes with secrets that are known, as talkative as they can be."""
    stack = Stack(settings, folder)
    async with receiving_mail(folder) as mailbox:
        mailbox.password = hoard.keep("SMTP password", f"p@ss/{token_hex(12)}")
        hoard.keep("SMTP login", b64encode(f"\0taskflow\0{mailbox.password}".encode()).decode())
        more = {
            "LOG_LEVEL": "DEBUG",
            "CHANNEL_KEYS": ",".join(hoard.keep(f"channel key {n}", token_hex(32)) for n in "12"),
            "SMTP_URL": mailbox.url,
            "SMTP_SSL_CAFILE": str(mailbox.cafile),
            "KAFKA_SASL_PASSWORD": hoard.keep("Kafka's password", token_hex(16)),
            "WEBHOOK_ALLOW_HTTP": "true",
            "WEBHOOK_ALLOW_NETWORKS": "127.0.0.0/8",
        }
        for name in PROCESSES:
            child = stack.add(name)
            command = tuple("debug" if word == "info" else word for word in child.command)
            stack.children[name] = replace(
                child, command=command, environment={**child.environment, **more}
            )
        async with stack.running():
            yield stack, mailbox


async def look_around(stack: Stack, hoard: Hoard, transport: Transport, servers: Servers) -> None:
    """Collect what a stranger, an operator or a reader of the log could see."""
    async with httpx.AsyncClient(trust_env=False) as client:
        for name, child in stack.children.items():
            for path in ("metrics", "health/ready"):
                url = child.ready_url.replace("health/ready", path)
                hoard.look_at(f"{path} of {name}", (await client.get(url)).content)
            for process in (psutil.Process(child.pid), *psutil.Process(child.pid).children()):
                hoard.look_at(f"command line of {name}", " ".join(process.cmdline()).encode())
    for pid in (servers.postgres.pid, servers.kafka.pid):
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            hoard.look_at("command lines of servers", " ".join(process.cmdline()).encode())
    hoard.look_at("PostgreSQL's log", (servers.directory / "postgres/postgres.log").read_bytes())
    for topic in TOPICS:
        hoard.look_at(f"topic {topic.name}", await _all_of(transport, topic.name))


async def _all_of(transport: Transport, topic: str) -> bytes:
    extents = await transport.extents(topic)
    wanted = sum(extent.end - extent.start for extent in extents.values())
    found = b""
    starts = {partition: extent.start for partition, extent in extents.items()}
    async with transport.tail(topic, starts) as tail:
        while wanted > 0:
            for record in await tail.read(500, 2.0):
                wanted -= 1
                found += (record.key or b"") + (record.value or b"") + repr(record.headers).encode()
    return found


async def test_no_secret_of_an_instance_is_anywhere_that_it_can_be_seen(
    settings: Settings, transport: Transport, servers: Servers, tmp_path: Path
) -> None:
    """With LOG_LEVEL=DEBUG, through all doors, with good and with bad input."""
    hoard = Hoard()
    hoard.keep("JWT_SECRET", settings.required_jwt_secret())
    password = settings.required_database_url().split("@")[0].rpartition(":")[2]
    hoard.keep("database password", password)
    async with (
        receiving() as receiver,
        instance(settings, tmp_path, hoard) as (stack, mailbox),
        httpx.AsyncClient(base_url=stack.api_url, trust_env=False, timeout=20) as client,
    ):
        visit = Visit(stack, hoard, mailbox, receiver.url, client)
        await visit.register()
        await visit.use_mails()
        await visit.use_channels()
        await visit.use_tasks()
        await visit.show_bad_tokens()
        await visit.use_sockets()
        await look_around(stack, hoard, transport, servers)
    for name in PROCESSES:
        hoard.look_at(f"log of {name}", (tmp_path / f"{name}.log").read_bytes())
    sizes = {place: len(text) for place, text in hoard.places.items()}
    assert all(sizes[place] for place in ("topic task-events", "topic reminders", "log of api"))
    assert sizes["answers of the gateway"] > 1_000
    assert sizes["answers of errors"] > 1_000
    print(f"\n{len(hoard.secrets)} secrets, {sum(sizes.values())} bytes in {len(sizes)} places")
    assert hoard.leaks() == []


BROKEN = {
    "JWT_SECRET": "{short}",
    "CHANNEL_KEYS": "{secret},{short}",
    "DATABASE_URL": "postgresql://taskflow:{secret}/x@127.0.0.1:1/taskflow",
    "SMTP_URL": "smtp:{secret}@127.0.0.1:1",
    "API_PORT": "{secret}",
    "LOG_LEVEL": "{secret}",
}


@pytest.mark.parametrize("module", ["api", "gateway", "streams.relay", "streams.cli"])
async def test_a_setting_that_is_refused_is_named_and_not_shown(
    settings: Settings, tmp_path: Path, module: str
) -> None:
    """Each process says which one, and ends with an error."""

    async def start(name: str, value: str) -> None:
        hoard = Hoard()
        secret = hoard.keep(name, token_hex(20))
        hoard.keep("a short one", short := token_hex(8))
        stack = Stack(settings, tmp_path)
        environment = stack.environment(**{name: value.format(secret=secret, short=short)})
        more = ("migrate", "status") if module == "streams.cli" else ()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *more),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), WAIT_S)
        assert process.returncode != 0
        assert name.lower() in said.decode().lower(), said.decode()
        hoard.look_at("output", said)
        assert hoard.leaks() == []

    for name, value in BROKEN.items():
        await start(name, value)


async def test_a_password_that_the_database_refuses_is_not_logged(
    settings: Settings, tmp_path: Path
) -> None:
    """The processes run on, not ready, and say what is wrong."""
    hoard = Hoard()
    right = settings.required_database_url()
    wrong = hoard.keep("wrong password", token_hex(20))
    login, _, place = right.rpartition("@")
    url = f"{login.rpartition(':')[0]}:{wrong}@{place}"
    stack = Stack(settings, tmp_path)
    children = [stack.add(name) for name in ("api", "relay")]
    children = [
        replace(child, environment={**child.environment, "DATABASE_URL": url, "LOG_LEVEL": "DEBUG"})
        for child in children
    ]
    keepers = [asyncio.create_task(child.keep_alive()) for child in children]
    try:
        for child in children:

            async def says_so(child: Child = child) -> bool:
                with suppress(httpx.HTTPError):
                    async with httpx.AsyncClient(trust_env=False) as client:
                        answer = await client.get(child.ready_url)
                        hoard.look_at(f"readiness of {child.name}", answer.content)
                        return answer.status_code == 503
                return False

            await eventually(says_so, WAIT_S, f"{child.name} is not ready")

            async def logged(child: Child = child) -> bool:
                return b"password authentication failed" in child.log.read_bytes()

            await eventually(logged, WAIT_S, f"{child.name} says why")
            hoard.look_at(f"log of {child.name}", child.log.read_bytes())
    finally:
        await asyncio.gather(*(child.end() for child in children))
        await asyncio.gather(*keepers)
    assert hoard.leaks() == []
