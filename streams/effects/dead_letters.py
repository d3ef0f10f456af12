"""Dead letters: what no worker can process, byte for byte, with where it was and why."""

from schemas.topics import TOPICS
from streams.transport.interface import Message, Record

ERROR_CHARS_MAX = 1_000
_DEAD_LETTERS = {topic.name: topic.dead_letters for topic in TOPICS}


def dead_letter(record: Record, app: str, error: BaseException) -> Message:
    """Make the message for a record's dead-letter topic.

    Key, value and headers are the record's own; `dlq-*` headers are added. It goes to the partition
    of the same number, so that the dead letters of one user stay in order.
    """
    reason = f"{type(error).__name__}: {error}"[:ERROR_CHARS_MAX]
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
            ("dlq-error", reason.encode()),
        ),
        partition=record.partition,
    )
