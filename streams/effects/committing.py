"""Committing: records become effects and a moved ledger, or dead letters, never a loss."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from streams.effects.dead_letters import dead_letter, note_of, stub_of
from streams.effects.reading import Event, PoisonError, read_event, reason_of
from streams.effects.retrying import Trouble
from streams.effects.worker import Worker
from streams.observability.metrics import (
    EFFECTS_APPLIED,
    EFFECTS_DEAD,
    EFFECTS_RETRIES,
    EFFECTS_SKIPPED,
)
from streams.store.database import Database, Fault, StoreError
from streams.store.dead_letters import NewDeadLetter, note_dead_letter
from streams.store.offsets import move_offset
from streams.transport.interface import (
    Message,
    MessageTooLargeError,
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

    def halves(self) -> "tuple[Run, Run]":
        """Split a run of two records or more."""
        middle = len(self.records) // 2
        border = self.records[middle].offset
        return (
            Run(self.partition, self.begin, border, self.records[:middle]),
            Run(self.partition, border, self.end, self.records[middle:]),
        )


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
        events, poison = self._read(run.records)
        if poison and len(run.records) > 1:
            await self._commit_halves(run)
        elif poison:
            await self._bury(run, poison)
        else:
            await self._apply(run, events)

    def _read(self, records: Sequence[Record]) -> tuple[Sequence[Event], PoisonError | None]:
        events = []
        for record in records:
            try:
                event = read_event(record)
            except PoisonError as error:
                return (), error
            if event.envelope.type in self.worker.types:
                events.append(event)
        return events, None

    async def _commit_halves(self, run: Run) -> None:
        for half in run.halves():
            await self.commit(half)

    async def _apply(
        self, run: Run, events: Sequence[Event], letter: NewDeadLetter | None = None
    ) -> None:
        while True:
            try:
                await self._write(run, events, letter)
            except StoreError as error:
                if letter is not None and error.fault is Fault.DATA:
                    raise  # a bug of ours: to bury it again would never end
                await self._after_refusal(run, error)
                if error.fault is Fault.DATA:
                    return
            except FencedError:
                raise
            except Exception as error:  # noqa: BLE001 - a worker's own bug is the message's fate
                await self._after_bad_data(run, error)
                return
            else:
                self._note_success(run, events)
                return

    async def _after_refusal(self, run: Run, error: StoreError) -> None:
        match error.fault:
            case Fault.TRANSIENT | Fault.SETUP:
                EFFECTS_RETRIES.labels(self.worker.app).inc()
                await self.trouble.pause(f"the database refuses: {error}")
            case Fault.DATA:
                await self._after_bad_data(run, error)
            case Fault.UNKNOWN:
                raise error
            case _:
                assert_never(error.fault)

    def _note_success(self, run: Run, events: Sequence[Event]) -> None:
        self.trouble.over()
        if events:
            self._dead_in_a_row = 0
            if self.worker.committed is not None:
                self.worker.committed()
        EFFECTS_APPLIED.labels(self.worker.app).inc(len(events))
        EFFECTS_SKIPPED.labels(self.worker.app).inc(len(run.records) - len(events))

    async def _after_bad_data(self, run: Run, error: Exception) -> None:
        if len(run.records) > 1:
            await self._commit_halves(run)
        else:
            await self._bury(run, error)

    async def _bury(self, run: Run, error: Exception) -> None:
        """Publish the run's one record as a dead letter, and only then note it and go on.

        Who dies in between publishes it again: the letter may be there twice, its row is once.
        """
        reason = reason_of(error)
        if self._dead_in_a_row >= DEAD_IN_A_ROW_MAX:
            await self.trouble.halt(
                f"{DEAD_IN_A_ROW_MAX} dead letters in a row, the last: {reason}"
            )
        (record,) = run.records
        letter = dead_letter(record, self.worker.app, error)
        place = await self._publish(letter)
        _log.error("dead letter in %s: %s", letter.topic, reason)
        EFFECTS_DEAD.labels(self.worker.app).inc()
        self._dead_in_a_row += 1
        await self._apply(run, (), note_of(record, self.worker.app, error, place))

    async def _publish(self, letter: Message) -> Place:
        while True:
            try:
                return await self.transport.publish(letter)
            except MessageTooLargeError:
                letter = stub_of(letter)
            except TransportError as refused:
                await self.trouble.pause(f"the log takes no dead letter: {refused}")

    async def _write(self, run: Run, events: Sequence[Event], letter: NewDeadLetter | None) -> None:
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
            if letter is not None:
                await note_dead_letter(session, letter)
            if events:
                await self.worker.apply(session, events)
