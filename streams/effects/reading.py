"""A record as an event, or the reason why it is none of ours; pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from typing import TypeVar

from pydantic import ValidationError

from schemas import codec
from schemas.events import TYPE_PREFIX, Envelope
from schemas.topics import EVENT_BYTES_MAX
from streams.store.database import StoreError
from streams.transport.interface import Record

T = TypeVar("T")


class PoisonError(ValueError):
    """The record can never be processed; the message says why, and goes with its dead letter."""


class PoisonedError(PoisonError):
    """Some of a batch can never be processed; `errors` has each, by the offset of its record."""

    def __init__(self, errors: "Mapping[int, PoisonError]") -> None:
        super().__init__(str(next(iter(errors.values()))))
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Event:
    """A record that was read, and its envelope."""

    record: Record
    envelope: Envelope


def read_event(record: Record) -> Event:
    """Check a record as an envelope of ours; raise `PoisonError` if it is none."""
    if record.value is None:
        raise PoisonError("the record has no value")
    if len(record.value) > EVENT_BYTES_MAX:
        raise PoisonError(f"the value has {len(record.value)} bytes, over {EVENT_BYTES_MAX}")
    try:
        envelope = Envelope.model_validate(codec.decode(record.value))
    except codec.MalformedError as error:
        raise PoisonError(str(error)) from None
    except ValidationError as error:
        raise PoisonError(first_rule(error)) from None
    if not envelope.type.startswith(TYPE_PREFIX):
        raise PoisonError(f"the type {envelope.type} is not one of {TYPE_PREFIX}*")
    if record.key != str(envelope.partitionkey).encode():
        raise PoisonError("the key is not the partitionkey")
    return Event(record, envelope)


def read_each(events: "Sequence[Event]", read: "Callable[[Event], T]") -> list[T]:
    """Read all events of a batch; raise `PoisonedError` with all that cannot be read.

    A flood of bad ones costs their worker one more try of the batch, and not one for each.
    """
    found, errors = [], {}
    for event in events:
        try:
            found.append(read(event))
        except PoisonError as error:
            errors[event.record.offset] = error
    if errors:
        raise PoisonedError(errors)
    return found


def first_rule(error: ValidationError) -> str:
    """Name the first field that is wrong, and the rule; nothing of what was in it."""
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"/{'/'.join(map(str, first['loc']))}: {first['type']}"


def reason_of(error: BaseException) -> str:
    """Say why a record is a dead letter, fit for a log: nothing of a user's is in it.

    Of an error that is none of ours only the class and the place are told, since its text may
    quote what it was about.
    """
    if isinstance(error, PoisonError | StoreError):
        return f"{type(error).__name__}: {error}"
    places = extract_tb(error.__traceback__)[-1:]
    where = [f" in {place.name}, {Path(place.filename).name}:{place.lineno}" for place in places]
    return "".join([type(error).__name__, *where])
