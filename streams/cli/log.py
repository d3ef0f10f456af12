"""`taskflow topics`: the topics of the log, as the table has them."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from schemas.settings import Settings, load_settings
from schemas.topics import TOPICS
from streams.cli.commands import Commands, add
from streams.cli.noting import noted
from streams.operators.asking import ask
from streams.operators.showing import as_json, as_table
from streams.transport.comparing import Difference, differences
from streams.transport.interface import Transport
from streams.transport.opening import open_transport

_COLUMNS = ("topic", "name", "wanted", "found", "cure")


def add_commands(commands: Commands) -> None:
    """Add `topics`, `topics apply` and `topics diff`."""
    about = "Make the topics that are missing, and leave the others."
    parser = add(commands, "topics", _make, about)
    steps = parser.add_subparsers(title="commands", metavar="COMMAND")
    diff = add(
        steps,
        "diff",
        _diff,
        "Show what differs from the table; the exit code is 1 if anything does.",
    )
    diff.add_argument("--json", action="store_true", help="as JSON, for programs")
    apply = add(
        steps,
        "apply",
        _apply,
        "Make the topics that are missing, and give the others the settings of the table. Nothing"
        " is deleted, and no number of partitions is changed.",
    )
    apply.add_argument("--yes", action="store_true", help="do not ask")
    apply.add_argument("--json", action="store_true", help="as JSON, for programs")
    apply.add_argument("--dry-run", action="store_true", help="only show what would be done")


def _make(_: argparse.Namespace) -> int:
    async def work() -> set[str]:
        settings = load_settings()
        async with open_transport(settings) as transport:
            missing = {d.topic for d in await _look(settings, transport) if d.name == "topic"}
            if not missing:
                return set()
            async with noted(settings, "topics", {"missing": sorted(missing)}) as outcome:
                made = set(await transport.create_topics(TOPICS))
                outcome.result = f"made {', '.join(sorted(made))}"
            return made

    made = asyncio.run(work())
    for topic in TOPICS:
        print(f"{topic.name}: {'made' if topic.name in made else 'is there'}")
    return 0


def _diff(arguments: argparse.Namespace) -> int:
    async def work() -> Sequence[Difference]:
        settings = load_settings()
        async with open_transport(settings) as transport:
            return await _look(settings, transport)

    found = asyncio.run(work())
    rows = [asdict(one) for one in found]
    if arguments.json:
        print(as_json(rows))
    else:
        print(as_table(rows, _COLUMNS) or "The topics are as the table has them.")
    return 1 if found else 0


def _apply(arguments: argparse.Namespace) -> int:
    async def work() -> int:
        settings = load_settings()
        async with open_transport(settings) as transport:
            found = await _look(settings, transport)
            todo = [one for one in found if one.can_be_altered]
            if found and not arguments.json:
                print(as_table([asdict(one) for one in found], _COLUMNS))
            if not todo:
                _tell("There is nothing to apply.", found, done=False, json=arguments.json)
            elif arguments.dry_run:
                _tell("Nothing was done: --dry-run.", found, done=False, json=arguments.json)
            else:
                ask("Apply the table's values?", yes=arguments.yes)
                done = await _do(settings, transport, todo)
                _tell(f"{done}.", found, done=True, json=arguments.json)
        return 0

    return asyncio.run(work())


def _tell(text: str, found: Sequence[Difference], *, done: bool, json: bool) -> None:
    rows = [asdict(one) for one in found]
    print(as_json({"done": done, "text": text, "differences": rows}) if json else text)


async def _do(settings: Settings, transport: Transport, todo: Sequence[Difference]) -> str:
    """Make and alter what is to be, and say how much that was."""
    missing = {one.topic for one in todo if one.name == "topic"}
    altered = {one.topic for one in todo} - missing
    arguments = {"make": sorted(missing), "alter": sorted(altered)}
    async with noted(settings, "topics apply", arguments) as outcome:
        await transport.create_topics([topic for topic in TOPICS if topic.name in missing])
        await transport.alter_topics([topic for topic in TOPICS if topic.name in altered])
        outcome.result = f"{len(missing)} made, {len(altered)} altered"
    return outcome.result


async def _look(settings: Settings, transport: Transport) -> Sequence[Difference]:
    return differences(
        TOPICS,
        await transport.describe_topics(TOPICS),
        partitions=settings.kafka_partitions,
        replication=settings.kafka_replication,
    )
