"""The checker finds nothing in a history that is right, and each thing that can be wrong in one."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from schemas.events import REMINDER_DUE
from tests.campaign.checker import check
from tests.campaign.evidence import Event, Evidence, Firing, TaskState
from tests.campaign.history import Heard, History, Visit, Write

USER, STRANGER, TASK = UUID(int=1), UUID(int=2), UUID(int=3)
BEGAN_AT = datetime(2027, 1, 1, tzinfo=UTC)
REMIND_AT = BEGAN_AT + timedelta(seconds=5)


def state(version: int, *, pending: bool = True, remind_at: datetime | None = None) -> TaskState:
    return TaskState(
        id=TASK,
        user_id=USER,
        version=version,
        title="one",
        pending=pending,
        deleted=False,
        remind_at=remind_at,
        updated_at=BEGAN_AT + timedelta(seconds=version),
        series=(UUID(int=9), 1),
        whole={"id": str(TASK), "version": version},
    )


def event(number: int, task: TaskState) -> Event:
    return Event(UUID(int=100 + number), "taskflow.task.updated", USER, (0, number), True, task)


def right() -> tuple[History, Evidence]:
    """Give a task that was made, reminded of and completed, which has a successor."""
    made, done = state(1, remind_at=REMIND_AT), state(2, pending=False, remind_at=REMIND_AT)
    done = replace(done, updated_at=REMIND_AT + timedelta(seconds=90))
    follower = replace(made, id=UUID(int=4), series=(UUID(int=9), 2), remind_at=None)
    follower = replace(follower, whole={"id": str(follower.id), "version": 1})
    events = [event(0, made), event(1, done), replace(event(2, follower), by_user=False)]
    due = Event(
        *(UUID(int=200), REMINDER_DUE, USER, (0, 3), False, made),
        remind_at=REMIND_AT,
        fired_at=REMIND_AT + timedelta(milliseconds=5),
    )
    history = History(
        writes=[
            Write(USER, "create", None, "one", 1.0, 2.0, dict(made.whole)),
            Write(USER, "complete", TASK, None, 3.0, 4.0, dict(done.whole)),
        ],
        heard=[Heard(USER, [Visit(None, [UUID(int=n) for n in (100, 101, 102, 200)])])],
    )
    evidence = Evidence(
        tasks=[done, follower],
        events=events,
        updates=[*events, due],
        reminders=[due],
        audited=[(one.id, one.task.whole) for one in events if one.task],
        firings=[Firing(TASK, REMIND_AT, REMIND_AT, due.id)],
        notified=[due.id],
        dead={"audit": 0},
    )
    return history, evidence


Break = Callable[[History, Evidence], object]


def set_to(**members: object) -> Break:
    def break_(_: History, evidence: Evidence) -> None:
        for name, value in members.items():
            setattr(evidence, name, value)

    return break_


def heard(*visits: Visit) -> Break:
    return lambda history, _: history.heard[0].visits.__setitem__(slice(None), visits)


ALL = [UUID(int=n) for n in (100, 101, 102, 200)]
BROKEN: dict[str, tuple[int, Break]] = {
    "an answered write is not there": (
        1,
        lambda history, _: history.writes.append(
            Write(USER, "create", None, "lost", 5.0, 6.0, {"id": str(UUID(int=8)), "version": 1})
        ),
    ),
    "a client was told something else": (
        1,
        lambda history, _: history.writes[0].told.update(title="two"),  # type: ignore[union-attr] # it was told
    ),
    "a write that nobody sent": (1, lambda history, _: history.writes.pop()),
    "a row in the outbox": (1, set_to(outbox=1)),
    "an event is not audited": (1, lambda _, evidence: evidence.audited.pop()),  # type: ignore[attr-defined] # a list
    "an event is audited twice": (
        1,
        lambda _, evidence: evidence.audited.append(evidence.audited[0]),  # type: ignore[attr-defined] # a list
    ),
    "the ledger went back": (1, set_to(backward=["audit moved back"])),
    "a dead letter is missing": (1, lambda history, _: setattr(history, "poison", 1)),
    "a reminder without a notification": (1, set_to(notified=[])),
    "versions out of order": (
        2,
        lambda _, evidence: setattr(evidence, "events", [evidence.events[i] for i in (1, 0, 2)]),
    ),
    "later before earlier": (
        2,
        lambda history, _: history.writes.__setitem__(
            1, replace(history.writes[1], sent_at=0.1, answered_at=0.5)
        ),
    ),
    "no successor": (3, lambda _, evidence: evidence.tasks.pop()),  # type: ignore[attr-defined] # a list
    "two successors": (
        3,
        lambda _, evidence: evidence.tasks.append(evidence.tasks[1]),  # type: ignore[attr-defined] # a list
    ),
    "a reminder never fired": (4, set_to(reminders=[])),
    "a reminder fired early": (
        4,
        lambda _, evidence: setattr(
            evidence, "reminders", [replace(evidence.reminders[0], fired_at=BEGAN_AT)]
        ),
    ),
    "a reminder fired twice": (
        4,
        lambda _, evidence: setattr(
            evidence,
            "reminders",
            [evidence.reminders[0], replace(evidence.reminders[0], id=UUID(int=201))],
        ),
    ),
    "a gap in what a client heard": (5, heard(Visit(None, [ALL[0], *ALL[2:]]))),
    "an event heard twice": (5, heard(Visit(None, [ALL[0], *ALL]))),
    "the last never came": (5, heard(Visit(None, ALL[:-1]))),
    "a stranger's event": (6, lambda history, _: history.heard[0].foreign.append(ALL[0])),
    "a stranger's task": (6, lambda history, _: history.trespasses.append("GET: 200")),
}


def test_nothing_is_found_where_all_is_right() -> None:
    assert check(*right()) == []


def test_who_is_told_to_load_afresh_may_have_missed_something() -> None:
    history, evidence = right()
    heard(Visit(None, ALL[:1]), Visit("expired", ALL[2:]))(history, evidence)
    assert check(history, evidence) == []


@pytest.mark.parametrize("name", BROKEN)
def test_whatever_is_broken_is_found(name: str) -> None:
    guarantee, break_ = BROKEN[name]
    history, evidence = right()
    break_(history, evidence)
    assert guarantee in {violation.guarantee for violation in check(history, evidence)}
