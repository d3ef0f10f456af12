"""`taskflow doctor`: looks at all that TaskFlow stands on, and says of each how to mend it."""

import argparse
import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict

from pydantic import ValidationError

from schemas.settings import ENV_FILE, Settings, TransportKind, load_settings
from streams.cli.commands import Commands, add
from streams.cli.findings import Finding, Level, bad, ok, warn
from streams.cli.looking_at_files import look_at_files
from streams.cli.looking_at_servers import look_at_servers
from streams.operators.showing import as_json


def add_commands(commands: Commands) -> None:
    """Add `doctor`."""
    parser = add(
        commands,
        "doctor",
        _doctor,
        "Check settings, database, log, topics, clocks, disk and secret files: each is ok, warn or"
        " bad, with the cure. Nothing is changed. The exit code is 1 if anything is bad.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _doctor(arguments: argparse.Namespace) -> int:
    async def work() -> list[Finding]:
        found = []
        async for finding in _look():
            found.append(finding)
            if not arguments.json:
                print(_line(finding), flush=True)
        return found

    found = asyncio.run(work())
    if arguments.json:
        print(as_json([asdict(finding) for finding in found]))
    return 1 if any(finding.level is Level.BAD for finding in found) else 0


def _line(finding: Finding) -> str:
    cure = f"\n      cure: {finding.cure}" if finding.cure else ""
    return f"{finding.level:<4}  {finding.what}: {finding.text}{cure}"


async def _look() -> AsyncIterator[Finding]:
    try:
        settings = load_settings()
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            name = "_".join(map(str, detail["loc"])).upper()
            yield bad("settings", f"{name} is not valid: {detail['msg']}", f"set {name} anew")
        return
    for finding in _settings(settings):
        yield finding
    async for finding in look_at_servers(settings):
        yield finding
    for finding in look_at_files(settings):
        yield finding


def _settings(settings: Settings) -> list[Finding]:
    needed: dict[str, object] = {
        "DATABASE_URL": settings.database_url,
        "JWT_SECRET": settings.jwt_secret,
    }
    if settings.transport is TransportKind.KAFKA:
        needed |= {"KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers}
    where = f"set it in the environment or in {ENV_FILE}, or run `make up`"
    found = [
        bad("settings", f"{name} is not set", where) for name, is_ in needed.items() if not is_
    ]
    if not settings.channel_keys:
        cure = "set CHANNEL_KEYS to the output of `openssl rand -hex 32`"
        found.append(warn("settings", "CHANNEL_KEYS is not set: nobody can add a channel", cure))
    return found or [ok("settings", "all that is needed is set, and valid")]
