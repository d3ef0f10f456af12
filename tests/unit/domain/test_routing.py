"""Which topics carry which events."""

import pytest

from schemas.events import EVENTS
from schemas.topics import REMINDERS, TASK_EVENTS, TASK_UPDATES, Topic
from streams.domain.routing import topics_of

CHANGE = {TASK_EVENTS, TASK_UPDATES}


@pytest.mark.parametrize(
    ("event_type", "topics"),
    [
        ("taskflow.task.created", CHANGE),
        ("taskflow.task.updated", CHANGE),
        ("taskflow.task.completed", CHANGE),
        ("taskflow.task.reopened", CHANGE),
        ("taskflow.task.deleted", CHANGE),
        ("taskflow.task.restored", CHANGE),
        ("taskflow.task.purged", CHANGE),
        ("taskflow.tag.created", CHANGE),
        ("taskflow.tag.updated", CHANGE),
        ("taskflow.tag.deleted", CHANGE),
        ("taskflow.user.deleted", CHANGE),
        ("taskflow.reminder.due", {REMINDERS, TASK_UPDATES}),
        ("taskflow.notification.sent", {TASK_UPDATES}),
        ("taskflow.notification.failed", {TASK_UPDATES}),
        ("taskflow.channel.off", {TASK_UPDATES}),
        ("taskflow.mail.requested", {REMINDERS}),
        ("taskflow.session.revoked", {TASK_UPDATES}),
    ],
)
def test_an_event_goes_to_the_contracts_topics(event_type: str, topics: set[Topic]) -> None:
    assert set(topics_of(event_type)) == topics
    assert len(topics_of(event_type)) == len(topics)


@pytest.mark.parametrize("event_type", sorted(EVENTS.keys() - {"taskflow.mail.requested"}))
def test_every_event_reaches_the_browsers_but_that_of_a_mail(event_type: str) -> None:
    assert TASK_UPDATES in topics_of(event_type)


@pytest.mark.parametrize("event_type", ["", "taskflow", "taskflow.tasks.created", "task.created"])
def test_a_type_without_a_topic_is_an_error_and_not_a_silence(event_type: str) -> None:
    with pytest.raises(LookupError, match="no topic"):
        topics_of(event_type)
