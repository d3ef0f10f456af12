"""`dlq list|show|replay|drop`: what no worker could process, and what becomes of it."""

import base64
import sys
from collections.abc import Sequence

import click

from streams.effects.command_line import Desk, Opener, Told, change_options, json_option
from streams.effects.replaying import GoneError, Replay, Tried, in_order
from streams.operators.asking import RefusedError, ask
from streams.operators.logbook import logged
from streams.operators.showing import as_json as to_json
from streams.operators.showing import as_table, as_text
from streams.store.dead_letters import (
    Cursor,
    DeadLetter,
    State,
    find_dead_letters,
    list_dead_letters,
    settle,
)
from streams.transport.interface import Record

LIMIT = 100
LIMIT_MAX = 10_000
AT_ONCE_MAX = 1_000
_COLUMNS = ("id", "state", "place", "key", "event_id", "died_at", "tries", "error")

_limit = click.option(
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=LIMIT,
    show_default=True,
    help="At most so many.",
)
_numbers = click.argument("numbers", metavar="[NUMBER]...", type=int, nargs=-1)
_all = click.option("--all", "every", is_flag=True, help=f"All that wait, at most {AT_ONCE_MAX}.")


def dead_letter_commands(opener: Opener) -> click.Group:
    """Make the group of commands of one app."""

    @click.group("dlq")
    def group() -> None:
        """Work on dead letters: messages that this worker could not process."""

    for command in (_list(opener), _show(opener), _replay(opener), _drop(opener)):
        group.add_command(command)
    return group


def _list(opener: Opener) -> click.Command:
    @click.command("list")
    @click.option(
        "--state",
        type=click.Choice([*(state.value for state in State), "all"]),
        default=State.WAITING.value,
    )
    @_limit
    @json_option
    def command(*, state: str, limit: int, as_json: bool) -> None:
        """List dead letters in the order in which they would be replayed."""
        wanted = None if state == "all" else State(state)
        letters = opener.run(
            lambda desk: list_dead_letters(desk.database, desk.worker.app, wanted, Cursor(), limit)
        )
        rows = [row_of(letter) for letter in letters]
        if as_json:
            click.echo(to_json(rows))
        else:
            click.echo(as_table(rows, _COLUMNS) or f"No dead letters ({state}).")
            if len(rows) == limit:
                click.echo(f"There may be more than {limit}: --limit.", err=True)

    return command


def row_of(letter: DeadLetter) -> dict[str, object]:
    """Give a letter as it is listed; a key that is no text is shown as it can be."""
    return {
        "id": letter.id,
        "state": letter.state,
        "place": f"{letter.topic}[{letter.partition}]@{letter.offset}",
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "key": None if letter.key is None else letter.key.decode(errors="replace"),
        "event_id": letter.event_id,
        "died_at": letter.died_at,
        "settled_at": letter.settled_at,
        "tries": letter.failed_tries,
        "error": letter.error,
        "dlq_partition": letter.dlq_partition,
        "dlq_offset": letter.dlq_offset,
    }


def _show(opener: Opener) -> click.Command:
    @click.command("show")
    @click.argument("number", type=int)
    @click.option("--raw", is_flag=True, help="Write the value's bytes, and nothing else.")
    @json_option
    def command(*, number: int, raw: bool, as_json: bool) -> None:
        """Show one dead letter: why it died, and the message as it was, byte for byte."""

        async def work(desk: Desk) -> tuple[DeadLetter, Record | None]:
            (letter,) = await _chosen(desk, (number,))
            try:
                return letter, await Replay(desk.worker, desk.database, desk.transport).original(
                    letter
                )
            except GoneError:
                return letter, None

        letter, record = opener.run(work)
        if raw:
            if record is None:
                raise click.ClickException("No topic has the message any more.")
            sys.stdout.buffer.write(record.value or b"")
            sys.stdout.buffer.flush()
        elif as_json:
            click.echo(to_json({**row_of(letter), "record": _record_row(record)}))
        else:
            click.echo(_text_of(letter, record))

    return command


def _record_row(record: Record | None) -> dict[str, object] | None:
    if record is None:
        return None
    return {
        "key_base64": _base64(record.key),
        "value_base64": _base64(record.value),
        "headers": [
            {"name": name, "value_base64": _base64(value)} for name, value in record.headers
        ],
    }


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw).decode()


def _text_of(letter: DeadLetter, record: Record | None) -> str:
    lines = [f"{name}: {as_text(value)}" for name, value in row_of(letter).items()]
    if record is None:
        return "\n".join([*lines, "No topic has the message any more: it can only be dropped."])
    lines += [f"header {as_text(name)}: {_readable(value)}" for name, value in record.headers]
    return "\n".join([*lines, "", _readable(record.value)])


def _readable(raw: bytes | None) -> str:
    """Give bytes as text if that shows all of them, else as Python writes bytes."""
    if raw is None:
        return "(null)"
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return repr(raw)
    return text if all(c.isprintable() or c == "\n" for c in text) else repr(raw)


def _replay(opener: Opener) -> click.Command:
    @click.command("replay")
    @_numbers
    @_all
    @change_options
    @json_option
    def command(
        *, numbers: tuple[int, ...], every: bool, yes: bool, dry_run: bool, as_json: bool
    ) -> None:
        """Process dead letters again, with their ids, of each key the oldest first.

        One that fails waits on, and so do those of its key that stand behind it. --dry-run does
        everything and takes it back: it says what would fail. The exit code is 1 if one was not
        replayed.
        """

        async def work(desk: Desk) -> list[Tried]:
            letters = in_order(await _waiting(desk, numbers, every=every))
            replay = Replay(desk.worker, desk.database, desk.transport, rehearsal=dry_run)
            if dry_run or not letters:
                return [await replay.try_one(letter) for letter in letters]
            ask(f"Replay {len(letters)} dead letters of {desk.worker.app}?", yes=yes)
            arguments = {"app": desk.worker.app, "numbers": [letter.id for letter in letters]}
            tried: list[Tried] = []
            async with logged(desk.database, "dlq replay", arguments) as outcome:
                for letter in letters:
                    tried.append(await replay.try_one(letter))
                    outcome.result = _summary(tried)
            return tried

        tried = opener.run(work)
        _tell(tried, as_json=as_json)
        if any(one.outcome not in {"replayed", "would replay"} for one in tried):
            raise click.exceptions.Exit(1)

    return command


def _summary(tried: Sequence[Tried]) -> str:
    counts: dict[str, int] = {}
    for one in tried:
        counts[one.outcome] = counts.get(one.outcome, 0) + 1
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "none wait"


def _tell(tried: Sequence[Tried], *, as_json: bool) -> None:
    rows = [{"id": one.id, "outcome": one.outcome, "why": one.why} for one in tried]
    if as_json:
        click.echo(to_json(rows))
        return
    for one in tried:
        click.echo(f"#{one.id} {one.outcome}" + (f": {as_text(one.why)}" if one.why else ""))
    click.echo(f"{_summary(tried)}.")


def _drop(opener: Opener) -> click.Command:
    @click.command("drop")
    @_numbers
    @_all
    @change_options
    @json_option
    def command(
        *, numbers: tuple[int, ...], every: bool, yes: bool, dry_run: bool, as_json: bool
    ) -> None:
        """Give dead letters up: they are not replayed, and no longer hold up those behind them.

        Their messages stay in the .dlq topic for as long as that keeps them.
        """

        async def work(desk: Desk) -> Told:
            letters = await _waiting(desk, numbers, every=every)
            ids = [letter.id for letter in letters if letter.state is State.WAITING]
            if dry_run or not ids:
                text = f"{len(ids)} would be dropped." if ids else "None of them waits."
                return Told(done=False, text=text)
            ask(f"Drop {len(ids)} dead letters of {desk.worker.app}?", yes=yes)
            arguments = {"app": desk.worker.app, "numbers": ids}
            async with logged(desk.database, "dlq drop", arguments) as outcome:
                async with desk.database.transaction() as session:
                    dropped = await settle(session, ids, State.DROPPED)
                outcome.result = f"{len(dropped)} dropped"
            return Told(done=True, text=f"{len(dropped)} dropped.")

        opener.run(work).echo(as_json=as_json)

    return command


async def _waiting(desk: Desk, numbers: tuple[int, ...], *, every: bool) -> Sequence[DeadLetter]:
    if every == bool(numbers):
        raise RefusedError("Say which: numbers from `dlq list`, or --all.")
    if every:
        return await list_dead_letters(
            desk.database, desk.worker.app, State.WAITING, Cursor(), AT_ONCE_MAX
        )
    return await _chosen(desk, numbers)


async def _chosen(desk: Desk, numbers: tuple[int, ...]) -> Sequence[DeadLetter]:
    found = await find_dead_letters(desk.database, desk.worker.app, numbers)
    missing = [str(number) for number in numbers if number not in found]
    if missing:
        raise RefusedError(
            f"{desk.worker.app} has no dead letter {', '.join(missing)}: `dlq list --state all`."
        )
    return list(found.values())
