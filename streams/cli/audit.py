"""`taskflow audit`: proves that the audit trail is what was written, and exports it."""

import argparse
import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from time import monotonic
from uuid import UUID

from schemas import codec
from schemas.ids import parse_id
from schemas.settings import load_settings
from streams.cli.commands import Commands, add
from streams.domain.audit_chain import Counts, Finding
from streams.domain.audit_file import UnreadableError, check_lines
from streams.store.audit_proof import export_lines, verify_chains
from streams.store.database import open_database

PROGRESS_S = 2.0
FINDINGS_MAX = 1_000
"""So many are shown, and all are counted: a trail that is wrong throughout fills no memory."""
LINE_BYTES_MAX = 8_388_608
"""A content has at most a megabyte, which JSON may write six times as long."""


def add_commands(commands: Commands) -> None:
    """Add `audit verify|export`."""
    about = "Prove the audit trail, or export it with its proof."
    parser = commands.add_parser("audit", help=about, description=about)
    steps = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    verify = add(steps, "verify", _verify, "Find every entry that was changed, removed or added.")
    of_what = verify.add_mutually_exclusive_group()
    of_what.add_argument("--user", type=_user, metavar="ID", help="one user's entries only")
    of_what.add_argument("--file", type=Path, help="an exported file, without a database")
    verify.add_argument("--json", action="store_true", help="as JSON, for programs")
    export = add(steps, "export", _export, "Write a user's entries and hashes as lines of JSON.")
    export.add_argument("--user", type=_user, metavar="ID", required=True)


def _user(text: str) -> UUID:
    found = parse_id(text)
    if found is None:
        raise argparse.ArgumentTypeError("must be a lower-case UUID")
    return found


class _Report:
    """Tells what is wrong as it is found, how far the check is, and at the end what it comes to."""

    def __init__(self, *, as_json: bool) -> None:
        self.counts = Counts()
        self._as_json = as_json
        self._shown: list[Finding] = []
        self._told_at = monotonic()

    def add(self, finding: Finding) -> None:
        """Show a finding, if it is among the first `FINDINGS_MAX`."""
        if self.counts.findings > FINDINGS_MAX:
            return
        if self._as_json:
            self._shown.append(finding)
        else:
            entry = f" (entry {finding.entry_id})" if finding.entry_id else ""
            where = f"user {finding.user_id}, position {finding.position}{entry}"
            print(f"{where}: {finding.message}")

    def tell(self) -> None:
        """Say how far the check is, every `PROGRESS_S`."""
        if monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = monotonic()
            print(f"{self.counts.entries:,} entries checked …", file=sys.stderr)

    def end(self) -> int:
        """Say what the check comes to, and give the exit code."""
        counts = self.counts
        if self._as_json:
            found = [_members(finding) for finding in self._shown]
            whole = {"ok": not counts.findings, **asdict(counts), "found": found}
            print(codec.encode(whole).decode())
        else:
            if counts.findings > FINDINGS_MAX:
                print(f"… and {counts.findings - FINDINGS_MAX:,} more")
            erased = f", {counts.erased:,} of them erased" if counts.erased else ""
            match counts.findings:
                case 0:
                    result = "nothing is"
                case 1:
                    result = "1 thing is"
                case many:
                    result = f"{many:,} things are"
            print(f"{counts.entries:,} entries of {counts.users:,} users{erased}: {result} wrong")
        return 1 if counts.findings else 0


def _members(finding: Finding) -> dict[str, object]:
    entry_id = finding.entry_id and str(finding.entry_id)
    return asdict(finding) | {"user_id": str(finding.user_id), "entry_id": entry_id}


def _verify(arguments: argparse.Namespace) -> int:
    report = _Report(as_json=arguments.json)
    if arguments.file is None:
        asyncio.run(_verify_database(report, arguments.user))
        return report.end()
    try:
        for finding in check_lines(_lines(arguments.file, report.tell), report.counts):
            report.counts.findings += 1
            report.add(finding)
    except (UnreadableError, OSError) as error:
        print(f"{arguments.file}: {error}", file=sys.stderr)
        return 1
    return report.end()


async def _verify_database(report: _Report, user_id: UUID | None) -> None:
    async with open_database(load_settings().required_database_url(), pool_size=1) as database:
        async for finding in verify_chains(database, report.counts, user_id, report.tell):
            report.add(finding)


def _lines(path: Path, told: Callable[[], None]) -> Iterator[bytes]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LINE_BYTES_MAX + 1):
            number += 1
            if len(line) > LINE_BYTES_MAX:
                raise UnreadableError(f"line {number}: has more than {LINE_BYTES_MAX} bytes")
            told()
            yield line


def _export(arguments: argparse.Namespace) -> int:
    async def work() -> None:
        async with open_database(load_settings().required_database_url(), pool_size=1) as database:
            async for lines in export_lines(database, arguments.user):
                sys.stdout.buffer.write(lines)

    asyncio.run(work())
    return 0
