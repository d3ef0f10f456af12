"""Which topics carry an event, by its type."""

from schemas.topics import ROUTES, Topic


def topics_of(event_type: str) -> tuple[Topic, ...]:
    """Give the topics that an event of this type is published to; a type without one is a bug."""
    for prefix, topics in ROUTES:
        if event_type.startswith(prefix):
            return topics
    raise LookupError(f"no topic carries events of type {event_type}")
