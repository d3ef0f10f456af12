"""Dead letters: what no worker can process, byte for byte, with where it was and why."""

from collections.abc import Iterator
from dataclasses import replace
from uuid import UUID

from schemas import codec
from schemas.ids import parse_id
from schemas.topics import TOPICS
from streams.effects.reading import reason_of
from streams.store.dead_letters import ERROR_CHARS_MAX, KEY_BYTES_MAX, NewDeadLetter
from streams.transport.interface import Message, Place, Record

_DEAD_LETTERS = {topic.name: topic.dead_letters for topic in TOPICS}


def dead_letter(record: Record, app: str, error: BaseException) -> Message:
    """Make the message for a record's dead-letter topic.

    Key, value and headers are the record's own; `dlq-*` headers are added, and `dlq-null` names
    what was null and not empty. It goes to the partition of the same number, so that the dead
    letters of one user stay in order.
    """
    return Message(
        topic=_DEAD_LETTERS[record.topic].name,
        key=record.key or b"",
        value=record.value or b"",
        headers=(
            *record.headers,
            ("dlq-app", app.encode()),
            ("dlq-topic", record.topic.encode()),
            ("dlq-partition", str(record.partition).encode()),
            ("dlq-offset", str(record.offset).encode()),
            ("dlq-error", reason_of(error)[:ERROR_CHARS_MAX].encode()),
            *(("dlq-null", part) for part in _null_parts(record)),
        ),
        partition=record.partition,
    )


def stub_of(letter: Message) -> Message:
    """Make the dead letter that stands for one that is too large: with its place, without a value.

    A record that was compressed may be larger than any topic takes. Its bytes stay in the source
    for as long as that keeps them.
    """
    place = tuple(header for header in letter.headers if header[0].startswith("dlq-"))
    size = ("dlq-omitted-bytes", str(len(letter.value)).encode())
    return replace(letter, key=letter.key[:KEY_BYTES_MAX], value=b"", headers=(*place, size))


def note_of(record: Record, app: str, error: BaseException, place: Place) -> NewDeadLetter:
    """Make the row of a letter that was published at a place."""
    return NewDeadLetter(
        app=app,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        event_id=event_id_of(record.value),
        error=reason_of(error),
        dlq_partition=place.partition,
        dlq_offset=place.offset,
    )


def original_of(letter: Record) -> Record | None:
    """Give back the record that a dead letter was made of; None if it is a stub, or no letter.

    Its timestamp is the letter's, since a letter does not carry the record's.
    """
    names = [name for name, _ in letter.headers]
    if "dlq-app" not in names:
        return None
    # A dead letter may itself have died: only the last of its places is ours.
    begin = len(names) - 1 - names[::-1].index("dlq-app")
    added = letter.headers[begin:]
    nulls = {value for name, value in added if name == "dlq-null"}
    place = dict(added)
    if "dlq-omitted-bytes" in place:
        return None
    return Record(
        topic=place["dlq-topic"].decode(),
        partition=int(place["dlq-partition"]),
        offset=int(place["dlq-offset"]),
        key=None if b"key" in nulls else letter.key,
        value=None if b"value" in nulls else letter.value,
        headers=letter.headers[:begin],
        timestamp_ms=letter.timestamp_ms,
    )


def event_id_of(value: bytes | None) -> UUID | None:
    """Give the id that a message calls itself by, though the rest of it may be no event."""
    try:
        members = codec.decode(value or b"")
    except codec.MalformedError:
        return None
    text = members.get("id") if isinstance(members, dict) else None
    return parse_id(text) if isinstance(text, str) else None


def _null_parts(record: Record) -> Iterator[bytes]:
    if record.key is None:
        yield b"key"
    if record.value is None:
        yield b"value"
