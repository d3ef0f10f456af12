"""An operator is told why a reminder fires or does not."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from schemas.tasks import Status
from streams.domain.schedule import Scheduled, reason

NOW = datetime(2027, 1, 1, 12, tzinfo=UTC)
SILENT = Scheduled(
    id=UUID(int=1),
    task_id=UUID(int=1),
    title="a task",
    kind="task",
    fires_at=None,
    status=Status.PENDING,
    deleted_at=None,
    due_date=None,
    last_instant=None,
    last_fired_at=None,
)
FIRED = replace(
    SILENT,
    last_instant=NOW - timedelta(hours=1),
    last_fired_at=NOW - timedelta(hours=1) + timedelta(milliseconds=3),
)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (replace(SILENT, fires_at=NOW + timedelta(seconds=90)), "fires in 90 s"),
        (replace(FIRED, fires_at=NOW + timedelta(seconds=5)), "fires in 5 s"),
        (replace(SILENT, fires_at=NOW - timedelta(seconds=9)), "due for 9.0 s: no worker"),
        (replace(FIRED, status=Status.COMPLETED), "the task is completed"),
        (replace(FIRED, deleted_at=NOW), "the task is deleted"),
        (FIRED, "fired 0.003 s after 2027-01-01 11:00:00 UTC"),
        (replace(FIRED, last_instant=None), "fired at 2027-01-01 11:00:00 UTC"),
        (replace(SILENT, kind="before_due"), "has no due date"),
        (SILENT, "its instant had passed"),
    ],
)
def test_the_reason_is_the_first_that_decides(one: Scheduled, words: str) -> None:
    assert words in reason(one, NOW)
