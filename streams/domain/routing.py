"""Which topics carry an event, by its type."""

from schemas.topics import REMINDERS, TASK_EVENTS, TASK_UPDATES, Topic

_ROUTES: tuple[tuple[str, tuple[Topic, ...]], ...] = (
    ("taskflow.task.", (TASK_EVENTS, TASK_UPDATES)),
    ("taskflow.tag.", (TASK_EVENTS, TASK_UPDATES)),
    ("taskflow.reminder.", (REMINDERS, TASK_UPDATES)),
    ("taskflow.notification.", (TASK_UPDATES,)),
    ("taskflow.user.", (TASK_EVENTS, TASK_UPDATES)),
    ("taskflow.session.", (TASK_UPDATES,)),
)


def topics_of(event_type: str) -> tuple[Topic, ...]:
    """Give the topics that an event of this type is published to; a type without one is a bug."""
    for prefix, topics in _ROUTES:
        if event_type.startswith(prefix):
            return topics
    raise LookupError(f"no topic carries events of type {event_type}")
