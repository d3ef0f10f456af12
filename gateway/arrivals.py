"""A record of task-updates becomes an arrival: checked once, and its bytes left as they are."""

from dataclasses import dataclass
from uuid import UUID

from pydantic import ValidationError

from schemas import codec
from schemas.codec import MalformedError
from schemas.events import Envelope
from schemas.positions import Position
from schemas.topics import EVENT_BYTES_MAX
from streams.transport.interface import Record

EPOCH_HEADER = "epoch"


class BadRecordError(ValueError):
    """The record is no event of ours; the message says why."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One event on its way to its user's clients."""

    position: Position
    user_id: UUID
    event_id: UUID
    type: str
    subject: str
    epoch: int | None
    envelope: bytes


def read_arrival(record: Record) -> Arrival:
    """Check a record's envelope, key and epoch; raise `BadRecordError` for one that is not ours."""
    if record.value is None or len(record.value) > EVENT_BYTES_MAX:
        raise BadRecordError("no value, or one that is too large")
    try:
        envelope = Envelope.model_validate(codec.decode(record.value))
    except (MalformedError, ValidationError) as error:
        raise BadRecordError("no envelope") from error
    if record.key != str(envelope.partitionkey).encode():
        raise BadRecordError("the key is not the envelope's partitionkey")
    return Arrival(
        position=Position.of_event(record.partition, record.offset, envelope.id),
        user_id=envelope.partitionkey,
        event_id=envelope.id,
        type=envelope.type,
        subject=envelope.subject,
        epoch=_epoch(record),
        envelope=record.value,
    )


def _epoch(record: Record) -> int | None:
    for name, value in record.headers:
        if name == EPOCH_HEADER:
            if not (value.isdigit() and len(value) <= 19):  # noqa: PLR2004 (a bigint's digits)
                raise BadRecordError("the epoch is no number")
            return int(value)
    return None
