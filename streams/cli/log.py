"""`taskflow topics`: makes the topics of the log."""

import argparse
import asyncio

from schemas.settings import load_settings
from schemas.topics import TOPICS
from streams.cli.commands import Commands, add
from streams.transport.opening import open_transport


def add_commands(commands: Commands) -> None:
    """Add `topics`."""
    add(commands, "topics", _topics, "Make the topics that are missing, and leave the others.")


def _topics(_: argparse.Namespace) -> int:
    async def work() -> set[str]:
        async with open_transport(load_settings()) as transport:
            return set(await transport.create_topics(TOPICS))

    made = asyncio.run(work())
    for topic in TOPICS:
        print(f"{topic.name}: {'made' if topic.name in made else 'is there'}")
    return 0
