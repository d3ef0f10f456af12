"""`taskflow channels`: the credentials of channels, and who may get mail."""

import argparse
import asyncio
import sys

from schemas.settings import load_settings
from streams.cli.commands import Commands, add
from streams.operators.logbook import logged
from streams.store.channels import reseal_all
from streams.store.database import open_database
from streams.store.vault import SealedError, make_vault


def add_commands(commands: Commands) -> None:
    """Add `channels reseal`."""
    about = "Work on the channels by which users are told."
    parser = commands.add_parser("channels", help=about, description=about)
    steps = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add(steps, "reseal", _reseal, "Seal all credentials with the first of CHANNEL_KEYS.")


def _reseal(_: argparse.Namespace) -> int:
    settings = load_settings()
    vault = make_vault([key.get_secret_value() for key in settings.channel_keys])
    if vault is None:
        print("CHANNEL_KEYS is not set: put the new key before the old ones.", file=sys.stderr)
        return 1

    async def work() -> int:
        async with (
            open_database(settings.required_database_url()) as database,
            logged(database, "channels reseal", {}) as outcome,
        ):
            count = await reseal_all(database, vault)
            outcome.result = f"{count} resealed"
            return count

    try:
        count = asyncio.run(work())
    except SealedError as error:
        print(f"A channel is not readable: {error}. Keep all keys.", file=sys.stderr)
        return 1
    print(f"Sealed {count} channels with the first key; the others are needed no more.")
    return 0
