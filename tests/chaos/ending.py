"""How a campaign must end: database, log and audit log agree with what clients were told."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas import codec
from schemas.events import Envelope, TaskChange
from schemas.topics import TASK_EVENTS
from streams.store.database import Database
from streams.transport.interface import Record, Transport
from tests.chaos.workload import Answer, Workload

Change = tuple[UUID, int]
"""A task and one of its versions, which is one event."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What was found after everything has drained."""

    answered: int
    tasks: int
    records: int
    events: int
    audited: int

    def __str__(self) -> str:
        return (
            f"{self.answered} answered, {self.tasks} tasks, {self.events} events in"
            f" {self.records} records, {self.audited} audited"
        )


async def read_log(transport: Transport, topic: str) -> Sequence[Record]:
    """Read a topic from its start to its end as it now is, partition by partition."""
    found: list[Record] = []
    for partition, extent in (await transport.extents(topic)).items():
        if extent.start == extent.end:
            continue
        async with transport.tail(topic, {partition: extent.start}) as tail:
            place = extent.start
            while place < extent.end:
                page = await tail.read(500, 10)
                assert page, f"{topic}[{partition}] shows nothing from {place} to {extent.end}"
                found += page
                place = page[-1].offset + 1
    return found


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is still on its way: in the outbox, or between the log and the audit log."""

    in_outbox: int
    versions: int
    audited: int

    @property
    def is_empty(self) -> bool:
        """Whether the outbox is empty and every version of every task is audited."""
        return self.in_outbox == 0 and self.versions == self.audited


async def backlog(database: Database) -> Backlog:
    """Count what is still on its way."""
    row = await database.fetchrow(
        """SELECT (SELECT count(*) FROM outbox) AS in_outbox,
                  (SELECT coalesce(sum(version), 0)::bigint FROM tasks) AS versions,
                  (SELECT count(*) FROM audit_log) AS audited"""
    )
    assert row is not None
    return Backlog(**dict(row))


async def check_ending(database: Database, transport: Transport, load: Workload) -> Ending:
    """Check everything that an ending promises; raises AssertionError with what is wrong."""
    versions = {
        row["id"]: row["version"] for row in await database.fetch("SELECT id, version FROM tasks")
    }
    for answer in load.answers:
        assert versions.get(answer.task_id, 0) >= answer.version, f"lost: {answer}"
    records = await read_log(transport, TASK_EVENTS.name)
    firsts = _first_occurrences(records)
    expected = {(task, n + 1) for task, version in versions.items() for n in range(version)}
    assert {change for change, _ in firsts} == expected
    assert len(firsts) == len(expected), "one event a version"
    _check_versions(firsts)
    _check_real_time(firsts, load.answers)
    _check_newest_is_last(records, versions)
    audited = await _audited(database)
    assert sorted(audited) == sorted(expected)
    _check_real_time([(change, None) for change in audited], load.answers)
    return Ending(len(load.answers), len(versions), len(records), len(firsts), len(audited))


def _first_occurrences(records: Sequence[Record]) -> list[tuple[Change, UUID | None]]:
    firsts: dict[UUID, Change] = {}
    for record in records:
        event_id, change = _change(record)
        firsts.setdefault(event_id, change)
    return [(change, event_id) for event_id, change in firsts.items()]


def _change(record: Record) -> tuple[UUID, Change]:
    envelope = Envelope.model_validate(codec.decode(record.value or b""))
    task = TaskChange.model_validate(envelope.data).task
    return envelope.id, (task.id, task.version)


def _check_versions(firsts: Sequence[tuple[Change, UUID | None]]) -> None:
    newest: dict[UUID, int] = {}
    for (task, version), _ in firsts:
        assert version == newest.get(task, 0) + 1, f"{task}: {version} after {newest.get(task)}"
        newest[task] = version


def _check_newest_is_last(records: Sequence[Record], versions: dict[UUID, int]) -> None:
    last = dict(_change(record)[1] for record in records)
    assert last == versions, "an older version is last in the log"


def _check_real_time(
    firsts: Sequence[tuple[Change, UUID | None]], answers: Sequence[Answer]
) -> None:
    """What was answered before another request of the same user was sent comes first."""
    told = {(answer.task_id, answer.version): answer for answer in answers}
    newest_sent: dict[UUID, float] = {}
    for change, _ in firsts:
        if answer := told.get(change):
            sent = newest_sent.get(answer.user_id, 0.0)
            assert answer.answered_at >= sent, f"{answer} comes after what was sent later"
            newest_sent[answer.user_id] = max(sent, answer.sent_at)


async def _audited(database: Database) -> list[Change]:
    rows = await database.fetch(
        """SELECT task_id, (task_data ->> 'version')::bigint AS version
             FROM audit_log ORDER BY user_id, timestamp, id"""
    )
    return [(row["task_id"], row["version"]) for row in rows]
