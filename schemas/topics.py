"""The topics: names, retention and limits; whoever needs one takes it from this table."""

from dataclasses import dataclass
from datetime import timedelta

EVENT_BYTES_MAX = 1_048_576
"""The largest envelope that is ours; a larger message in a topic is a poison one."""

REPLICATION_SAFE = 3
"""From so many copies on, an acknowledged record is on two of them at least."""

_MEBIBYTE = 1_048_576


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is created; all have `cleanup.policy=delete` and are keyed by user id."""

    name: str
    retention: timedelta
    message_bytes_max: int
    about: str

    def configs(self, replication: int) -> dict[str, str]:
        """Give the settings that it has on the brokers, with so many copies."""
        return {
            "cleanup.policy": "delete",
            "retention.ms": str(int(self.retention.total_seconds() * 1000)),
            "max.message.bytes": str(self.message_bytes_max),
            "min.insync.replicas": "2" if replication >= REPLICATION_SAFE else "1",
        }

    @property
    def dead_letters(self) -> "Topic":
        """The topic beside this one that takes what no worker can process.

        It takes larger messages than its source, since the error and the place travel in headers.
        """
        return Topic(
            name=f"{self.name}.dlq",
            retention=timedelta(days=30),
            message_bytes_max=self.message_bytes_max + _MEBIBYTE,
            about=f"Messages of {self.name} that could not be processed, byte for byte.",
        )


TASK_EVENTS = Topic(
    name="task-events",
    retention=timedelta(days=30),
    message_bytes_max=4 * _MEBIBYTE,
    about="Every change of a task or tag.",
)
TASK_UPDATES = Topic(
    name="task-updates",
    retention=timedelta(days=7),
    message_bytes_max=4 * _MEBIBYTE,
    about="What clients should see now.",
)
REMINDERS = Topic(
    name="reminders",
    retention=timedelta(days=7),
    message_bytes_max=4 * _MEBIBYTE,
    about="A reminder is due, or a mail is asked for.",
)

ROUTES: tuple[tuple[str, tuple[Topic, ...]], ...] = (
    ("taskflow.task.", (TASK_EVENTS, TASK_UPDATES)),
    ("taskflow.tag.", (TASK_EVENTS, TASK_UPDATES)),
    ("taskflow.reminder.", (REMINDERS, TASK_UPDATES)),
    ("taskflow.notification.", (TASK_UPDATES,)),
    ("taskflow.channel.", (TASK_UPDATES,)),
    ("taskflow.mail.", (REMINDERS,)),
    ("taskflow.user.", (TASK_EVENTS, TASK_UPDATES)),
    ("taskflow.session.", (TASK_UPDATES,)),
)
"""The topics that carry an event, by how its type begins; no type begins as two of them do."""

SOURCES = (TASK_EVENTS, TASK_UPDATES, REMINDERS)
"""The topics that the relay alone produces to."""

TOPICS = (*SOURCES, TASK_EVENTS.dead_letters, REMINDERS.dead_letters)
"""Everything that `taskflow topics` creates."""
