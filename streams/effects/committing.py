"""Committing: records become effects and a moved ledger, or dead letters, never a loss."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from streams.effects.dead_letters import dead_letter, note_of, stub_of
from streams.effects.reading import Event, PoisonedError, PoisonError, read_event, reason_of
from streams.effects.retrying import StoppingError, Trouble
from streams.effects.worker import Worker
from streams.observability.metrics import (
    EFFECTS_APPLIED,
    EFFECTS_DEAD,
    EFFECTS_RETRIES,
    EFFECTS_SKIPPED,
)
from streams.store.database import Database, Fault, StoreError
from streams.store.dead_letters import NewDeadLetter, note_dead_letters
from streams.store.offsets import move_offset
from streams.transport.interface import (
    Message,
    MessageTooLargeError,
    NotAttemptedError,
    Place,
    Record,
    Transport,
    TransportError,
)

DEAD_IN_A_ROW_MAX = 100
"""So many in a row are not bad messages but a bad worker: it halts, and the rest stays readable."""

_log = logging.getLogger(__name__)


class FencedError(Exception):
    """The ledger is not where the run begins, or the app is paused; nothing of it was written."""


@dataclass(frozen=True, slots=True)
class Run:
    """Records of one partition that follow each other in the log, and the offset behind them."""

    partition: int
    begin: int
    end: int
    records: Sequence[Record]

    def cut(self, index: int) -> "tuple[Run, Run]":
        """Split a run before one of its records; before the first, the first part is empty."""
        border = self.records[index].offset if index else self.begin
        return (
            Run(self.partition, self.begin, border, self.records[:index]),
            Run(self.partition, border, self.end, self.records[index:]),
        )


@dataclass(frozen=True, slots=True)
class Sorted:
    """What is known of a run's records, by their offsets; more turns out to be bad on the way."""

    events: dict[int, Event]
    errors: dict[int, Exception]
    letters: dict[int, NewDeadLetter] = field(default_factory=dict)
    """Those of the bad ones that were published."""
    too_large: set[int] = field(default_factory=set)
    """Those that the dead letters' topic takes as a stub alone."""

    def letter(self, record: Record, app: str) -> Message:
        """Make the dead letter of one of the bad ones."""
        letter = dead_letter(record, app, self.errors[record.offset])
        return stub_of(letter) if record.offset in self.too_large else letter

    def good(self, run: Run) -> Sequence[Event]:
        """Give the events of a run that are not known to be bad."""
        return [
            self.events[record.offset]
            for record in run.records
            if record.offset in self.events and record.offset not in self.errors
        ]


@dataclass(slots=True)
class Committer:
    """Commits runs of one worker; several partitions may be in progress, each one run at a time."""

    worker: Worker
    database: Database
    transport: Transport
    trouble: Trouble
    _dead_in_a_row: int = field(default=0)

    async def commit(self, run: Run) -> None:
        """Commit a run, however long it takes.

        Raises `FencedError` if the ledger is not at the run's begin, and `StoppingError` when the
        process stops; both leave all as it was, or as it was after a first part of the run.
        """
        await self._commit(run, self._sort(run.records))

    def _sort(self, records: Sequence[Record]) -> Sorted:
        found = Sorted({}, {})
        for record in records:
            try:
                event = read_event(record)
            except PoisonError as error:
                found.errors[record.offset] = error
            else:
                if event.envelope.type in self.worker.types:
                    found.events[record.offset] = event
        return found

    async def _commit(self, run: Run, found: Sorted) -> None:
        """Write what is good, and bury what is known to be bad; what is refused is halved."""
        run, rest = self._before_too_many(run, found)
        if rest is not None and not run.records:
            await self._halt(rest, found)
        try:
            await self._write_patiently(run, found)
        except (FencedError, StoppingError):
            raise
        except PoisonedError as error:
            found.errors.update(error.errors)
            await self._commit(run, found)
        except Exception as error:  # noqa: BLE001 - a worker's own bug is the message's fate
            await self._after_bad_data(run, found, error)
        else:
            self._note_success(run, found)
        if rest is not None:
            await self._commit(rest, found)

    def _before_too_many(self, run: Run, found: Sorted) -> tuple[Run, Run | None]:
        """Cut a run before the one that would be one dead letter in a row too many."""
        in_a_row = self._dead_in_a_row
        for index, record in enumerate(run.records):
            in_a_row = _counted(in_a_row, record, found)
            if in_a_row > DEAD_IN_A_ROW_MAX:
                return run.cut(index)
        return run, None

    async def _halt(self, run: Run, found: Sorted) -> NoReturn:
        reason = reason_of(found.errors[run.records[0].offset])
        await self.trouble.halt(f"{DEAD_IN_A_ROW_MAX} dead letters in a row, the last: {reason}")

    async def _after_bad_data(self, run: Run, found: Sorted, error: Exception) -> None:
        """Look for what is bad in the halves; the last that is left is it."""
        if isinstance(error, StoreError) and error.fault is not Fault.DATA:
            raise error
        good = found.good(run)
        if not good:
            raise error  # a bug of ours: to bury it again would never end
        if len(good) == 1:
            found.errors[good[0].record.offset] = error
            await self._commit(run, found)
        else:
            for half in run.cut(len(run.records) // 2):
                await self._commit(half, found)

    async def _write_patiently(self, run: Run, found: Sorted) -> None:
        """Write, again for as long as it is not the fault of what is written."""
        while True:
            try:
                return await self._write(run, found)
            except StoreError as error:
                if error.fault not in {Fault.TRANSIENT, Fault.SETUP}:
                    raise
                EFFECTS_RETRIES.labels(self.worker.app).inc()
                await self.trouble.pause(f"the database refuses: {error}")
            except TransportError as error:
                await self.trouble.pause(f"the log takes no dead letter: {error}")

    def _note_success(self, run: Run, found: Sorted) -> None:
        self.trouble.over()
        good = found.good(run)
        for record in run.records:
            self._dead_in_a_row = _counted(self._dead_in_a_row, record, found)
        if good and self.worker.committed is not None:
            self.worker.committed()
        bad = sum(record.offset in found.errors for record in run.records)
        EFFECTS_APPLIED.labels(self.worker.app).inc(len(good))
        EFFECTS_SKIPPED.labels(self.worker.app).inc(len(run.records) - len(good) - bad)

    async def _bury(self, run: Run, found: Sorted) -> None:
        """Publish what is bad in a run, in its order, as dead letters; raise if the log is away.

        Only then it is noted and passed. Who dies in between publishes it again: a letter may be
        there twice, its row is once.
        """
        app = self.worker.app
        bad = [r for r in run.records if r.offset in found.errors and r.offset not in found.letters]
        while bad:
            letters = [found.letter(record, app) for record in bad]
            results = await self.transport.publish_many(letters)
            for record, letter, result in zip(bad, letters, results, strict=True):
                if isinstance(result, Place):
                    error = found.errors[record.offset]
                    found.letters[record.offset] = note_of(record, app, error, result)
                    _log.error("dead letter in %s: %s", letter.topic, reason_of(error))
                    EFFECTS_DEAD.labels(app).inc()
                elif isinstance(result, MessageTooLargeError):
                    found.too_large.add(record.offset)
                elif not isinstance(result, NotAttemptedError):
                    raise result
            bad = [record for record in bad if record.offset not in found.letters]

    async def _write(self, run: Run, found: Sorted) -> None:
        """Write effects, dead letters and the ledger at once.

        The letters are published within the transaction: behind the fence, when all that is bad in
        the run is known, and before the ledger moves.
        """
        events = found.good(run)
        async with self.database.transaction() as session:
            moved = await move_offset(
                session,
                self.worker.app,
                self.worker.topic.name,
                run.partition,
                begin=run.begin,
                end=run.end,
                event_ids=[event.envelope.id for event in events],
            )
            if not moved:
                raise FencedError
            if events:
                await self.worker.apply(session, events)
            await self._bury(run, found)
            if letters := [
                found.letters[r.offset] for r in run.records if r.offset in found.letters
            ]:
                await note_dead_letters(session, letters)


def _counted(in_a_row: int, record: Record, found: Sorted) -> int:
    """Give how many are dead in a row after a record; one that is skipped does not count."""
    if record.offset in found.errors:
        return in_a_row + 1
    return 0 if record.offset in found.events else in_a_row
