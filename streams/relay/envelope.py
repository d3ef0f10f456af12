"""An outbox row as messages: the same envelope for each topic that carries its type."""

from collections.abc import Sequence

from schemas import codec
from schemas.events import CONTENT_TYPE
from streams.domain.routing import topics_of
from streams.store.outbox import OutboxRow
from streams.transport.interface import Message


class UnroutableError(LookupError):
    """This version knows no topic for an event's type."""


def messages_of(row: OutboxRow, epoch: int) -> Sequence[Message]:
    """Give a row's messages, which carry the epoch of the relay that sends them.

    Raises `UnroutableError` for a type that only a newer version knows.
    """
    try:
        topics = topics_of(row.type)
    except LookupError as error:
        raise UnroutableError(str(error)) from error
    value = encode_envelope(row)
    key = str(row.user_id).encode()
    headers = (("content-type", CONTENT_TYPE), ("epoch", str(epoch).encode()))
    return [Message(topic.name, key, value, headers) for topic in topics]


def encode_envelope(row: OutboxRow) -> bytes:
    """Write a row as a CloudEvent; its data is taken over as it stands."""
    envelope = {
        "specversion": "1.0",
        "id": str(row.event_id),
        "source": row.source,
        "type": row.type,
        "subject": row.subject,
        "time": row.occurred_at,
        "datacontenttype": "application/json",
        "partitionkey": str(row.user_id),
    }
    if row.traceparent:
        envelope["traceparent"] = row.traceparent
    return codec.encode(envelope | {"data": codec.fragment(row.data)})
