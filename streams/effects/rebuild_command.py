"""`faust -A streams.audit rebuild`: the trail again from the log, for whoever finds it damaged."""

from dataclasses import asdict
from time import monotonic

import click
from faust.cli.base import cli

from schemas.settings import Settings
from streams.effects.command_line import Desk, Opener, change_options, json_option
from streams.effects.rebuilding import KINDS, SHOWN_MAX, Comparison, Rebuild
from streams.effects.worker import Worker
from streams.operators.asking import RefusedError, ask
from streams.operators.logbook import logged
from streams.operators.showing import as_json as to_json
from streams.operators.showing import as_text
from streams.store.audit_shadow import ShadowTakenError, open_shadow

PROGRESS_S = 2.0


def add_rebuild_command(worker: Worker, settings: Settings) -> None:
    """Add it to the app whose effects are the audit trail."""
    cli.add_command(_rebuild(Opener(worker, settings)))


def _rebuild(opener: Opener) -> click.Command:
    @click.command("rebuild")
    @change_options
    @json_option
    def command(*, yes: bool, dry_run: bool, as_json: bool) -> None:
        """Write the audit trail again from the log, compare, and put right what differs.

        It is written beside the real one up to this worker's ledger, which may go on meanwhile, and
        compared entry by entry. --dry-run stops there; the exit code is 1 if something differs.
        Then the chains of those users are swapped, in one transaction, and no others. Their entries
        get new ids, salts and hashes: heads that were exported before do not match afterwards. What
        the log no longer has all of is compared, and not swapped. It needs the role that migrates.
        """

        async def work(desk: Desk) -> tuple[Comparison, str | None]:
            try:
                return await _work(desk, yes=yes, dry_run=dry_run, as_json=as_json)
            except ShadowTakenError as error:
                raise RefusedError(f"Nothing was done: {error}.") from error

        found, result = opener.run(work)
        if as_json:
            told = {"done": result is not None, "result": result, "differs": found.differs}
            click.echo(to_json({**told, **asdict(found)}))
        else:
            if result is None or yes:
                click.echo(text_of(found))
            click.echo(f"Done: {result}." if result else "Nothing was changed.")
        if found.differs and result is None:
            raise click.exceptions.Exit(1)

    return command


async def _work(
    desk: Desk, *, yes: bool, dry_run: bool, as_json: bool
) -> tuple[Comparison, str | None]:
    async with open_shadow(desk.database) as shadow:
        rebuild = Rebuild(desk, shadow, _Progress().tell)
        whys = await rebuild.begin()
        if whys and not dry_run:
            raise RefusedError(f"Nothing was done: {whys[0]}. `--dry-run` compares all the same.")
        found = await rebuild.compare()
        if dry_run or not found.differs:
            return found, None
        if found.whys:
            click.echo(text_of(found), err=True)
            raise RefusedError(f"Nothing was swapped: {found.whys[0]}.")
        if not yes and not as_json:
            click.echo(text_of(found), err=True)
        ask(
            f"Write the chains of {found.users} users anew? Their entries get new ids and hashes:"
            " heads that were exported before will not match (`taskflow log` says when).",
            yes=yes,
        )
        arguments = {
            "app": desk.worker.app,
            "users": found.users,
            "broken": found.broken,
            **{kind: getattr(found, kind) for kind in KINDS},
        }
        async with logged(desk.database, "audit rebuild", arguments) as outcome:
            outcome.result = await rebuild.swap(outcome.entry)
        return found, outcome.result


class _Progress:
    """Says how far it is, every `PROGRESS_S`."""

    def __init__(self) -> None:
        self._told_at = monotonic()

    def tell(self, text: str) -> None:
        if monotonic() - self._told_at >= PROGRESS_S:
            self._told_at = monotonic()
            click.echo(f"{text} …", err=True)


def text_of(found: Comparison) -> str:
    """Say what a comparison comes to, with the first few of each kind."""
    lines = [f"{found.entries:,} entries, {found.records:,} records of the log"]
    if found.before:
        lines[0] += f"; {found.before:,} entries are older than the log, and were not compared"
    for kind in KINDS:
        if count := getattr(found, kind):
            lines.append(f"{kind}: {count:,}")
            lines += [
                f"  event {as_text(one['event_id'])} of user {as_text(one['user_id'])}"
                for one in found.first[kind]
            ]
            if count > SHOWN_MAX:
                lines.append(f"  … and {count - SHOWN_MAX:,} more")
    if found.broken:
        lines.append(f"broken chains: {found.broken:,} (`taskflow audit verify` names them)")
    if not found.differs:
        lines.append("The trail is what the log says.")
    lines += [f"It cannot be swapped: {why}." for why in found.whys]
    return "\n".join(lines)
