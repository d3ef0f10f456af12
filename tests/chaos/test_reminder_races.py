"""An edit within 5 ms of a reminder's instant wins or loses whole: what fires is what stands."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from schemas import codec
from schemas.bodies import TaskPatch
from schemas.events import Actor, ActorKind
from schemas.topics import REMINDERS
from streams.domain import tasks as domain
from streams.domain.tasks import Change
from streams.store.database import Database
from streams.store.tasks import Origin, find_task, update_task
from tests.chaos.campaign import Campaign
from tests.chaos.ending import read_log
from tests.reminder_world import all_fired, database_now, make_users, plan, spread
from tests.waiting import eventually

ORIGIN = Origin(Actor(kind=ActorKind.USER, id="somebody"))
RACE = timedelta(milliseconds=5)
WRITE = timedelta(milliseconds=3)
"""About what a write takes, so that its commit and not its beginning falls around the instant."""
MOVED_BY = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit: which, of what, and when its transaction had ended by the database's clock."""

    verb: str
    task_id: UUID
    remind_at: datetime
    moved_to: datetime
    over_at: datetime


async def edit(
    database: Database, user: UUID, task_id: UUID, remind_at: datetime, dice: random.Random
) -> Edit:
    """Move, complete or delete a task around its reminder's instant."""
    verb = dice.choice(("move", "complete", "delete"))
    task = await find_task(database, user, task_id)
    assert task is not None
    moved_to = remind_at + MOVED_BY
    change: Change | None
    if verb == "move":
        change = domain.patch(task, TaskPatch(remind_at=moved_to), remind_at)
    else:
        change = getattr(domain, verb)(task, remind_at)
    assert change is not None
    wanted_at = remind_at - WRITE + dice.uniform(-1, 1) * RACE
    await asyncio.sleep((wanted_at - datetime.now(wanted_at.tzinfo)).total_seconds())
    assert await update_task(database, task, change, ORIGIN) is not None
    return Edit(verb, task_id, remind_at, moved_to, await database_now(database))


async def firings(campaign: Campaign) -> dict[UUID, list[datetime]]:
    """Give the instants for which each task's reminder has fired, by the ledger."""
    rows = await campaign.database.fetch(
        "SELECT task_id, fires_at, fired_at FROM reminder_firings ORDER BY fires_at"
    )
    assert all(row["fired_at"] >= row["fires_at"] for row in rows)
    found: dict[UUID, list[datetime]] = {}
    for row in rows:
        found.setdefault(row["task_id"], []).append(row["fires_at"])
    return found


def check(edits: Sequence[Edit], fired: dict[UUID, list[datetime]]) -> Counter[str]:
    """Check each edit, and count how they ended."""
    ends: Counter[str] = Counter()
    for one in edits:
        instants = fired.get(one.task_id, [])
        assert set(instants) <= {one.remind_at, one.moved_to}
        assert len(set(instants)) == len(instants)
        assert (one.moved_to in instants) == (one.verb == "move"), "the final state fires once"
        was_first = one.remind_at not in instants
        if one.over_at <= one.remind_at:
            assert was_first, f"{one} fired for a state that was gone"
        ends[f"{one.verb} {'before' if was_first else 'after'} the firing"] += 1
    return ends


async def check_events(campaign: Campaign, count: int) -> None:
    """Check that each event shows the task in the state that its reminder was planned for."""

    async def all_there() -> bool:
        return len(await read_log(campaign.transport, REMINDERS.name)) >= count

    await eventually(all_there, 30, "all that fired is on the topic")
    for record in await read_log(campaign.transport, REMINDERS.name):
        data = codec.decode(record.value or b"")["data"]
        assert data["task"]["remind_at"] == data["remind_at"]
        assert data["task"]["status"] == "pending"
        assert data["task"]["deleted_at"] is None


@pytest.mark.parametrize(
    "count", [pytest.param(120, id="short"), pytest.param(2_000, id="long", marks=pytest.mark.long)]
)
async def test_an_edit_around_the_instant_wins_or_loses_whole(
    campaign: Campaign, count: int
) -> None:
    """Moved, completed or deleted within 5 ms: it fires for what stands, or not at all."""
    campaign.stack.add("relay")
    campaign.stack.add("reminders")
    database, dice = campaign.database, random.Random(count)
    users = await make_users(database, 50)
    async with campaign.stack.running():
        begin = await database_now(database) + timedelta(seconds=1 + count / 400)
        instants = spread(begin, count, timedelta(seconds=count / 100))
        ids = await plan(database, users, instants)
        edits = await asyncio.gather(
            *(
                edit(database, users[n % len(users)], ids[n], instants[n], dice)
                for n in range(count)
            )
        )
        moves = sum(one.verb == "move" for one in edits)
        await all_fired(database, moves, 30)

        async def moved_ones_have_fired() -> bool:
            fired = await firings(campaign)
            return sum(one.moved_to in fired.get(one.task_id, []) for one in edits) == moves

        await eventually(moved_ones_have_fired, 30, "what was moved fires at its new instant")
        fired = await firings(campaign)
        await check_events(campaign, sum(map(len, fired.values())))
    ends = check(edits, fired)
    before = sum(one.over_at <= one.remind_at for one in edits)
    print(f"\n{count} races, {before} edits over before the instant: {dict(sorted(ends.items()))}")
    assert len({end.partition(" ")[2] for end in ends}) == 2, "both ends of the race were seen"
