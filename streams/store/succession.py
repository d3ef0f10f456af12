"""The links from recurring tasks to the successors that the worker made of them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from schemas.tasks import Task
from streams.domain.succession import Link, Reopened
from streams.domain.zones import Distance
from streams.store.database import Database, Row, Session
from streams.store.tasks import TASK_COLUMNS, task_of

_COLUMNS = """successor_id, predecessor_id, version, withdrawn, remind_days, remind_time,
    reopened_version, reopened_event"""

_LINKS = f"""
    SELECT {_COLUMNS} FROM task_successors
     WHERE predecessor_id = ANY ($1::uuid[]) OR successor_id = ANY ($1::uuid[])
     ORDER BY successor_id"""

_HELD = f"""
    SELECT {TASK_COLUMNS}, users.timezone
      FROM tasks JOIN users ON users.id = tasks.user_id
     WHERE tasks.id = ANY ($1::uuid[])
     ORDER BY tasks.id
       FOR NO KEY UPDATE OF tasks"""

_HOLD_TAGS = """
    INSERT INTO tags (id, user_id, name, name_key)
    SELECT gen_random_uuid(), user_id, name, name_key
      FROM unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (user_id, name, name_key)
     ORDER BY user_id, name_key
    ON CONFLICT (user_id, name_key) DO UPDATE SET name = tags.name"""

_RECORD = """
    INSERT INTO task_successors
        (successor_id, predecessor_id, user_id, version, withdrawn, remind_days, remind_time,
         event_id)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::boolean[],
                         $6::integer[], $7::time[], $8::uuid[])
    ON CONFLICT (successor_id) DO UPDATE
        SET version = excluded.version, withdrawn = excluded.withdrawn,
            remind_days = excluded.remind_days, remind_time = excluded.remind_time,
            event_id = excluded.event_id, written_at = clock_timestamp()"""

_FIND = f"""
    SELECT {TASK_COLUMNS}, users.timezone
      FROM tasks JOIN users ON users.id = tasks.user_id
     WHERE tasks.id = ANY ($1::uuid[])"""

_RECORD_REOPENED = """
    UPDATE task_successors AS link
       SET reopened_version = seen.version, reopened_event = seen.event_id
      FROM unnest($1::uuid[], $2::bigint[], $3::uuid[]) AS seen (successor_id, version, event_id)
     WHERE link.successor_id = seen.successor_id
       AND coalesce(link.reopened_version, 0) <= seen.version"""

_WAITING = "SELECT count(*) AS n FROM outbox WHERE subject = $1::text"


@dataclass(frozen=True, slots=True)
class Held:
    """A task, and the zone that its user lives in."""

    task: Task
    timezone: str


@dataclass(frozen=True, slots=True)
class NewLink:
    """A link that is to be recorded, for whose task, and by which event."""

    link: Link
    user_id: UUID
    event_id: UUID


async def links_of(statements: Database | Session, task_ids: Collection[UUID]) -> Sequence[Link]:
    """Give the links from and to these tasks."""
    return [_link(row) for row in await statements.fetch(_LINKS, list(task_ids))]


async def hold_tasks(session: Session, task_ids: Collection[UUID]) -> Mapping[UUID, Held]:
    """Lock tasks in the order of their ids, those that there are, and give them as they are.

    Whoever takes this takes it before all tags, as a write of a single task does.
    """
    return _by_id(await session.fetch(_HELD, list(task_ids)))


async def find_tasks(database: Database, task_ids: Collection[UUID]) -> Mapping[UUID, Held]:
    """Give tasks as they are, deleted ones too, of whichever user."""
    return _by_id(await database.fetch(_FIND, list(task_ids)))


async def hold_tags(session: Session, wanted: Collection[tuple[UUID, str]]) -> None:
    """Make the tags of these users and names that there are not, and lock all, in one order.

    The writes of single tasks then find their tags held by this transaction, and wait for none.
    """
    first = {(user_id, name.casefold()): name for user_id, name in wanted}
    if first:
        await session.fetch(
            _HOLD_TAGS,
            [user_id for user_id, _ in first],
            list(first.values()),
            [key for _, key in first],
        )


async def record_links(session: Session, links: Sequence[NewLink]) -> None:
    """Record what was written of successors."""
    await session.fetch(
        _RECORD,
        [new.link.successor_id for new in links],
        [new.link.predecessor_id for new in links],
        [new.user_id for new in links],
        [new.link.version for new in links],
        [new.link.withdrawn for new in links],
        [new.link.distance and new.link.distance.days for new in links],
        [new.link.distance and new.link.distance.at for new in links],
        [new.event_id for new in links],
    )


async def record_reopened(session: Session, links: Sequence[Link]) -> None:
    """Record the last reopenings of predecessors; a later one that is there stays."""
    seen = [(link.successor_id, link.reopened) for link in links if link.reopened]
    if seen:
        await session.fetch(
            _RECORD_REOPENED,
            [successor_id for successor_id, _ in seen],
            [reopened.version for _, reopened in seen],
            [reopened.event_id for _, reopened in seen],
        )


async def count_waiting(database: Database, task_id: UUID) -> int:
    """Count the events of a task that the relay has not yet published."""
    row = await database.fetchrow(_WAITING, str(task_id))
    return int(row["n"]) if row else 0


def _by_id(rows: Sequence[Row]) -> Mapping[UUID, Held]:
    held = [Held(task_of(row), row["timezone"]) for row in rows]
    return {one.task.id: one for one in held}


def _link(row: Row) -> Link:
    days, at = row["remind_days"], row["remind_time"]
    distance = None if days is None else Distance(days, at)
    version = row["reopened_version"]
    return Link(
        successor_id=row["successor_id"],
        predecessor_id=row["predecessor_id"],
        version=row["version"],
        withdrawn=row["withdrawn"],
        distance=distance,
        reopened=None if version is None else Reopened(version, row["reopened_event"]),
    )
