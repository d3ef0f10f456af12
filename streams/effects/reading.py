"""A record as an event, or the reason why it is none of ours; pure."""

from dataclasses import dataclass

from pydantic import ValidationError

from schemas import codec
from schemas.events import TYPE_PREFIX, Envelope
from schemas.topics import EVENT_BYTES_MAX
from streams.transport.interface import Record


class PoisonError(ValueError):
    """The record can never be processed; the message says why, and goes with its dead letter."""


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
        raise PoisonError(str(error)) from error
    except ValidationError as error:
        raise PoisonError(_first_rule(error)) from error
    if not envelope.type.startswith(TYPE_PREFIX):
        raise PoisonError(f"the type {envelope.type} is not one of {TYPE_PREFIX}*")
    if record.key != str(envelope.partitionkey).encode():
        raise PoisonError("the key is not the partitionkey")
    return Event(record, envelope)


def _first_rule(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"/{'/'.join(map(str, first['loc']))}: {first['msg']}"
