"""`taskflow log`: who changed what by hand, and what came of it."""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict

from schemas.settings import load_settings
from streams.cli.commands import Commands, add
from streams.operators.showing import as_json, as_table
from streams.store.database import open_database
from streams.store.operator_log import LogEntry, newest_entries

LIMIT, LIMIT_MAX = 50, 10_000
_COLUMNS = ("id", "began_at", "operator", "command", "arguments", "result")


def add_commands(commands: Commands) -> None:
    """Add `log`."""
    about = "List what operators changed, the newest first."
    parser = add(commands, "log", _log, about)
    parser.add_argument(
        "--limit",
        type=int,
        choices=range(1, LIMIT_MAX + 1),
        default=LIMIT,
        metavar="N",
        help=f"at most so many, up to {LIMIT_MAX}; {LIMIT} if it is not given",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for programs")


def _log(arguments: argparse.Namespace) -> int:
    async def work() -> Sequence[LogEntry]:
        url = load_settings().required_database_url()
        async with open_database(url, pool_size=1) as database:
            return await newest_entries(database, arguments.limit)

    rows = [asdict(entry) for entry in asyncio.run(work())]
    if arguments.json:
        print(as_json(rows))
        return 0
    for row in rows:
        row["result"] = row["result"] or "has not ended, or died"
    print(as_table(rows, _COLUMNS) or "Nobody has changed anything by hand.")
    return 0
