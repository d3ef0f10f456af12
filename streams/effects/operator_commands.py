"""An operator's commands on every worker's app: status, pause, resume, rewind, explain, dlq."""

from dataclasses import asdict

import click
from faust.cli.base import cli

from schemas.ids import parse_id
from schemas.settings import Settings
from streams.effects.command_line import Desk, Opener, Told, change_options, json_option
from streams.effects.dead_letter_commands import dead_letter_commands
from streams.effects.explaining import Way, sentences_of, way_of
from streams.effects.rewinding import Move, plan, rewind
from streams.effects.status import Status, status_of
from streams.effects.worker import Worker
from streams.operators.asking import ask
from streams.operators.logbook import logged, operator
from streams.operators.showing import as_json, as_table, as_text
from streams.store.pauses import find_pause, pause_app, resume_app

WITHIN_S = 600
WITHIN_S_MAX = 7 * 86_400


def add_operator_commands(worker: Worker, settings: Settings) -> None:
    """Add them to `faust -A streams.<app>`; an app that is imported later has them instead."""
    opener = Opener(worker, settings)
    for command in (
        _status(opener),
        _pause(opener),
        _resume(opener),
        _rewind(opener),
        _explain(opener),
        dead_letter_commands(opener),
    ):
        cli.add_command(command)


def _status(opener: Opener) -> click.Command:
    @click.command("status")
    @json_option
    def command(*, as_json: bool) -> None:
        """Show how far this worker is in each partition, and how far behind.

        LEDGER is the next offset; LAG counts records and LAG_S is the age of the first of them;
        RATE is records a second, measured now. It is asked of the tables and the log: the worker
        need not run.
        """
        status = opener.run(lambda desk: status_of(desk.worker, desk.database, desk.transport))
        click.echo(_status_json(status) if as_json else _status_text(status))

    return command


def _status_json(status: Status) -> str:
    return as_json(
        {
            "app": status.app,
            "topic": status.topic,
            "paused": asdict(status.pause) if status.pause else None,
            "lag": status.lag,
            "dead_letters_waiting": status.waiting,
            "last_error": status.last_error,
            "last_error_at": status.last_error_at,
            "partitions": [asdict(one) for one in status.partitions],
        }
    )


def _status_text(status: Status) -> str:
    columns = ("partition", "ledger", "log_start", "log_end", "lag", "lag_s", "rate", "dead")
    pause = status.pause
    state = (
        f"PAUSED since {as_text(pause.paused_at)} by {pause.paused_by}" if pause else "not paused"
    )
    head = (
        f"{status.app} on {status.topic}: {state}; lag {status.lag};"
        f" {status.waiting} dead letters wait"
    )
    lines = [head, as_table([asdict(one) for one in status.partitions], columns)]
    lines += [
        f"partition {one.partition}: {one.trouble}" for one in status.partitions if one.trouble
    ]
    if status.newest:
        lines.append(f"last error, {as_text(status.last_error_at)}: {as_text(status.last_error)}")
    return "\n".join(lines)


def _pause(opener: Opener) -> click.Command:
    @click.command("pause")
    @change_options
    @json_option
    def command(*, yes: bool, dry_run: bool, as_json: bool) -> None:
        """Let this worker process nothing more of its topic, until `resume`.

        It holds for all of its processes, and through restarts. They stay ready and say "paused";
        the lag grows. What they do beside the topic goes on: reminders fire, notifications leave.
        """

        async def work(desk: Desk) -> Told:
            app = desk.worker.app
            if (pause := await find_pause(desk.database, app)) is not None:
                since = as_text(pause.paused_at)
                return Told(done=False, text=f"{app} is paused already, since {since}.")
            if dry_run:
                return Told(done=False, text=f"{app} would be paused.")
            ask(f"Pause {app}?", yes=yes)
            async with logged(desk.database, "pause", {"app": app}):
                await pause_app(desk.database, app, operator())
            return Told(done=True, text=f"{app} is paused: nothing is processed until `resume`.")

        opener.run(work).echo(as_json=as_json)

    return command


def _resume(opener: Opener) -> click.Command:
    @click.command("resume")
    @change_options
    @json_option
    def command(*, yes: bool, dry_run: bool, as_json: bool) -> None:
        """Let this worker go on after `pause`, from where it was."""

        async def work(desk: Desk) -> Told:
            app = desk.worker.app
            if await find_pause(desk.database, app) is None:
                return Told(done=False, text=f"{app} is not paused.")
            if dry_run:
                return Told(done=False, text=f"{app} would be resumed.")
            ask(f"Resume {app}?", yes=yes)
            async with logged(desk.database, "resume", {"app": app}):
                await resume_app(desk.database, app)
            return Told(done=True, text=f"{app} goes on within a second.")

        opener.run(work).echo(as_json=as_json)

    return command


def _rewind(opener: Opener) -> click.Command:
    @click.command("rewind")
    @click.option("--to", required=True, metavar="PLACE", help="start, end, an instant, an offset.")
    @click.option("--partition", type=click.IntRange(min=0), help="Only this one.")
    @change_options
    @json_option
    def command(*, to: str, partition: int | None, yes: bool, dry_run: bool, as_json: bool) -> None:
        """Put this worker's ledger elsewhere: back, to process again, or forward, to leave out.

        PLACE is `start` or `end` of the log, an RFC 3339 instant (the first record published then
        or later), or an offset, with --partition. Effects are idempotent by event id: what is
        processed again changes nothing that is right. A worker that runs notices within seconds.
        """

        async def work(desk: Desk) -> tuple[list[Move], bool]:
            moves = list(await plan(desk.worker, desk.database, desk.transport, to, partition))
            if dry_run:
                return moves, False
            if not yes:
                click.echo(_moves_text(opener.worker, moves), err=True)
            ask(f"Rewind {desk.worker.app}?", yes=yes)
            arguments = {"app": desk.worker.app, "to": to, "partition": partition}
            async with logged(desk.database, "rewind", arguments) as outcome:
                done = list(await rewind(desk.worker, desk.database, moves))
                outcome.result = "; ".join(f"{m.partition}: {m.begin} to {m.to}" for m in done)
            return done, True

        moves, done = opener.run(work)
        click.echo(_moves_json(moves, done) if as_json else _moves_text(opener.worker, moves))
        if not as_json:
            click.echo("Done." if done else "Nothing was done: --dry-run.")

    return command


def _moves_json(moves: list[Move], done: bool) -> str:  # noqa: FBT001 - shown as it is
    return as_json({"done": done, "partitions": [_move_row(move) for move in moves]})


def _move_row(move: Move) -> dict[str, object]:
    return {
        "partition": move.partition,
        "from": move.begin,
        "to": move.to,
        "again": move.again,
        "skipped": move.skipped,
    }


def _moves_text(worker: Worker, moves: list[Move]) -> str:
    columns = ("partition", "from", "to", "again", "skipped")
    lines = [as_table([_move_row(move) for move in moves], columns)]
    if lost := sum(move.skipped for move in moves):
        lines.append(
            f"LOST: {lost} records of {worker.topic.name} are never processed by {worker.app}"
            " unless you rewind again."
        )
    return "\n".join(lines)


def _explain(opener: Opener) -> click.Command:
    @click.command("explain")
    @click.argument("event_id", metavar="ID")
    @click.option(
        "--within",
        type=click.IntRange(1, WITHIN_S_MAX),
        default=WITHIN_S,
        show_default=True,
        metavar="SECONDS",
        help="How long after its making an event may have been published.",
    )
    @json_option
    def command(*, event_id: str, within: int, as_json: bool) -> None:
        """Tell the way of the event with this id, from the outbox to its effects.

        `faust -A streams.recurrence explain` takes a task's id too, and says why it has a successor
        or not.
        """
        wanted = parse_id(event_id)
        if wanted is None:
            raise click.BadParameter(f"{event_id}: an id is a lower-case UUID", param_hint="ID")

        async def work(desk: Desk) -> str:
            subject = desk.worker.subject
            told = await subject.tell(desk.database, wanted, as_json) if subject else None
            if told is not None:
                return told
            way = await way_of(desk.worker, desk.database, desk.transport, wanted, within)
            return _way_json(way, desk.worker) if as_json else _way_text(way, desk.worker)

        click.echo(opener.run(work))

    return command


def _way_json(way: Way, worker: Worker) -> str:
    members = asdict(way) | {
        "relay": {"leads": way.relay.leads, "expires_at": way.relay.expires_at},
        "ledger": {str(number): offset for number, offset in way.ledger.items()},
        "dead": [
            {"id": one.id, "app": one.app, "state": one.state, "error": one.error}
            for one in way.dead
        ],
        "sentences": sentences_of(way, worker),
    }
    return as_json(members)


def _way_text(way: Way, worker: Worker) -> str:
    noun = f"there is no {worker.subject.noun} {way.event_id}; as an " if worker.subject else ""
    lines = [f"{noun}event {way.event_id}, made {as_text(way.made_at)}"]
    lines += [as_text(sentence) for sentence in sentences_of(way, worker)]
    lines += [f"  {name}: {as_text(value)}" for name, value in (way.effects or {}).items()]
    return "\n".join(lines)
