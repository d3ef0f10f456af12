"""Replaying: a dead letter's record goes through its worker again, beside the ledger.

Nothing is published: only the relay produces to the topics. The effects are idempotent by event id,
so that a replay may be repeated, and race the worker.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from streams.effects.dead_letters import event_id_of, original_of
from streams.effects.lookup import read_one
from streams.effects.reading import PoisonError, read_event, reason_of
from streams.effects.worker import Worker
from streams.store.database import Database, Fault, Session, StoreError
from streams.store.dead_letters import (
    KEY_BYTES_MAX,
    DeadLetter,
    State,
    hold_dead_letter,
    note_failed_try,
    settle,
    waiting_before,
)
from streams.transport.interface import Record, Transport, TransportError


class GoneError(Exception):
    """No topic has the record any more; the letter can only be dropped."""


class _NotNowError(Exception):
    """The letter is not to be tried; the message says why."""


class _RehearsedError(Exception):
    """All went well, and is taken back."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one letter: `replayed`, `would replay`, `failed`, `not tried` or `gone`."""

    id: int
    outcome: str
    why: str | None = None


@dataclass(slots=True)
class Replay:
    """One command's replaying; letters of one key are given to it oldest first."""

    worker: Worker
    database: Database
    transport: Transport
    rehearsal: bool = False
    """Do all of it and take it back: what is found out is true, and nothing is changed."""
    _passed: list[int] = field(default_factory=list)
    """Those that a rehearsal would have replayed; they hold up nobody."""

    async def try_one(self, letter: DeadLetter) -> Tried:
        """Try a letter; one that fails waits on, with those of its key that stand behind it.

        Raises `StoreError` where the database is away or not set up, which is no letter's fault,
        and `TransportError`; the letter is as it was then.
        """
        try:
            await self._apply(letter, await self.original(letter))
        except _RehearsedError:
            self._passed.append(letter.id)
            return Tried(letter.id, "would replay")
        except _NotNowError as error:
            return Tried(letter.id, "not tried", str(error))
        except Exception as error:  # noqa: BLE001 - a worker's own bug is why the letter died
            return await self._after_failure(letter, error)
        return Tried(letter.id, "replayed")

    async def original(self, letter: DeadLetter) -> Record:
        """Read the record as it was; raise `GoneError` if no topic has it any more."""
        dead = await read_one(
            self.transport,
            self.worker.topic.dead_letters.name,
            letter.dlq_partition,
            letter.dlq_offset,
        )
        if dead is not None and _is_of(dead, letter) and (record := original_of(dead)):
            return record
        source = await read_one(self.transport, letter.topic, letter.partition, letter.offset)
        if source is None or source.offset != letter.offset or not _may_be(source, letter):
            raise GoneError("neither topic has the record any more: it can only be dropped")
        return source

    async def _apply(self, letter: DeadLetter, record: Record) -> None:
        async with self.database.transaction() as session:
            await self._hold(session, letter)
            event = read_event(record)
            if event.envelope.type not in self.worker.types:
                raise PoisonError(f"this version does not know the type {event.envelope.type}")
            await self.worker.apply(session, [event])
            await settle(session, [letter.id], State.REPLAYED)
            if self.rehearsal:
                raise _RehearsedError

    async def _hold(self, session: Session, letter: DeadLetter) -> None:
        held = await hold_dead_letter(session, letter.id)
        if held is None or held.state is not State.WAITING:
            raise _NotNowError(f"it is {held.state if held else 'gone'} already")
        before = await waiting_before(session, held, self._passed)
        if before is not None:
            raise _NotNowError(f"#{before} of the same key waits before it: replay or drop that")

    async def _after_failure(self, letter: DeadLetter, error: Exception) -> Tried:
        if isinstance(error, TransportError):
            raise error
        if isinstance(error, StoreError) and error.fault is not Fault.DATA:
            raise error
        if isinstance(error, GoneError):
            return Tried(letter.id, "gone", str(error))
        reason = reason_of(error)
        if not self.rehearsal:
            await note_failed_try(self.database, letter.id, reason)
        return Tried(letter.id, "failed", reason)


def _is_of(dead: Record, letter: DeadLetter) -> bool:
    """Tell whether a record is this letter's, since the topic may have been made anew."""
    headers = dict(dead.headers)
    place = (letter.app.encode(), str(letter.partition).encode(), str(letter.offset).encode())
    found = tuple(headers.get(f"dlq-{name}") for name in ("app", "partition", "offset"))
    return dead.offset == letter.dlq_offset and found == place


def _may_be(source: Record, letter: DeadLetter) -> bool:
    """Tell whether a record of the source is what died, as far as can be known."""
    key = None if source.key is None else source.key[:KEY_BYTES_MAX]
    return key == letter.key and event_id_of(source.value) == letter.event_id


def in_order(letters: Sequence[DeadLetter]) -> Sequence[DeadLetter]:
    """Give letters in the order of replay: of each key, the oldest first."""
    return sorted(letters, key=lambda letter: (letter.partition, letter.offset))
