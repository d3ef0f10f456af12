"""Dead letters: what no worker can process, byte for byte, with where it was and why."""

from collections.abc import Iterator
from dataclasses import replace

from schemas.topics import TOPICS
from streams.effects.reading import reason_of
from streams.transport.interface import Message, Record

ERROR_CHARS_MAX = 1_000
KEY_BYTES_MAX = 1_000
"""Of a stub; a key of ours has 36."""
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


def _null_parts(record: Record) -> Iterator[bytes]:
    if record.key is None:
        yield b"key"
    if record.value is None:
        yield b"value"
