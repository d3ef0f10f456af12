"""Rebuilding: the audit trail from the log, beside the one that is there, compared, and swapped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from schemas.ids import instant_of
from schemas.partitions import partition_of
from streams.effects.command_line import Desk
from streams.effects.dead_letters import event_id_of
from streams.effects.lookup import read_one
from streams.effects.shadowing import Shadowing
from streams.operators.asking import RefusedError
from streams.store.audit_shadow import (
    Extra,
    Shadow,
    compare_with_shadow,
    count_differences,
    extra_entries,
    first_differences,
    follow_erasures,
    look_at_truth,
    note_broken_chains,
    sort_extra,
    swap_chains,
)
from streams.store.database import Session
from streams.store.offsets import all_offsets, hold_offsets
from streams.store.operator_log import end_entry
from streams.transport.interface import Record

KINDS = ("missing", "extra", "different")
SHOWN_MAX = 10
EXTRA_PAGE = 5_000
HELD_RECORDS_MAX = 5_000
"""So many are read at most while the ledger is held and its worker waits."""
SKEW_S_MAX = 60
"""How far the clock of an API, which makes events, may be ahead of a relay's, which publishes."""
_EVER, _NEVER = datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What the trail says, against what the log says up to the same ledger.

    `before` are entries older than the log, and `broken` users whose chains do not hold.
    """

    entries: int
    records: int
    missing: int
    extra: int
    different: int
    broken: int
    before: int
    users: int
    """Whose chains would be written anew."""
    first: Mapping[str, Sequence[Mapping[str, object]]]
    whys: Sequence[str]
    """Because of which nothing is swapped."""

    @property
    def differs(self) -> bool:
        """Tell whether something is wrong with the trail."""
        return bool(self.missing or self.extra or self.different or self.broken)


@dataclass(slots=True)
class Rebuild:
    """One rebuild, with a shadow of its own."""

    desk: Desk
    shadow: Shadow
    told: Callable[[str], None]
    shadowing: Shadowing = field(init=False)

    async def begin(self) -> Sequence[str]:
        """Look at the log, and say what keeps it from being all of the trail."""
        extents = await self.desk.transport.extents(self.desk.worker.topic.name)
        self.shadowing = Shadowing(self.desk, self.shadow, extents, self.told)
        await self.shadowing.begin()
        return self._whys()

    def _whys(self) -> Sequence[str]:
        return [why for _, why in sorted(self.shadowing.whys.items())]

    async def compare(self) -> Comparison:
        """Write the shadow, and compare it with the trail and its ledger as of one instant."""
        app, topic = self.desk.worker.app, self.desk.worker.topic.name
        await self.shadowing.catch_up()
        async with self.shadow.transaction(steady=True) as session:
            goals = self.shadowing.goals(await all_offsets(session, app, topic))
            await self.shadowing.read_within(session, goals)
            await follow_erasures(session)
            self.told("comparing")
            await compare_with_shadow(session)
            await self._sort_extra(session)
            await look_at_truth(session)
            entries, broken = await note_broken_chains(session, self.told)
            differences = await count_differences(session)
            return Comparison(
                entries=entries,
                records=self.shadowing.records,
                broken=broken,
                before=differences.get("before", 0),
                users=differences.get("users", 0),
                first={kind: await first_differences(session, kind, SHOWN_MAX) for kind in KINDS},
                whys=self._whys(),
                **{kind: differences.get(kind, 0) for kind in KINDS},
            )

    async def _sort_extra(self, session: Session) -> None:
        """Tell what is older than the log, or ahead of a rewound ledger, from what is extra."""
        limits = {n: await self._log_begins_at(n) for n in self.shadowing.extents}
        suspects: set[int] = set()
        after = None
        while page := await extra_entries(session, after, EXTRA_PAGE):
            old = [one for one in page if _made_at(one) <= limits[self._partition(one)]]
            await sort_extra(session, [one.event_id for one in old], "before")
            suspects |= {self._partition(one) for one in set(page).difference(old)}
            after = page[-1].event_id
        for partition in sorted(suspects):
            await self._sort_ahead(session, partition)

    def _partition(self, one: Extra) -> int:
        return partition_of(str(one.user_id).encode(), len(self.shadowing.extents))

    async def _log_begins_at(self, partition: int) -> datetime:
        """Give when the first record was published that a log which was cut still has."""
        extent = self.shadowing.extents[partition]
        if self.shadowing.positions[partition] > extent.end:
            return _EVER
        if extent.start == 0:
            return _NEVER
        topic = self.desk.worker.topic.name
        record = await read_one(self.desk.transport, topic, partition, extent.start)
        if record is None:
            return _EVER
        return datetime.fromtimestamp(record.timestamp_ms / 1000 + SKEW_S_MAX, UTC)

    async def _sort_ahead(self, session: Session, partition: int) -> None:
        """Look for extra entries in the log behind the ledger: the app was rewound."""
        found = False
        topic = self.desk.worker.topic.name
        extent = (await self.desk.transport.extents(topic))[partition]

        async def look(page: Sequence[Record]) -> None:
            nonlocal found
            ids = [an_id for record in page if (an_id := event_id_of(record.value))]
            found = await sort_extra(session, ids, "ahead") > 0 or found

        ledger = self.shadowing.positions[partition]
        await self.shadowing.look_on(partition, extent.end, look)
        if found:
            self.shadowing.note(
                partition,
                f"the log has entries of {self.shadowing.place(partition)} that stand behind the"
                f" ledger, at {ledger}: {self.desk.worker.app} was rewound, and is to go on first",
            )

    async def swap(self, entry: int) -> str:
        """Write the chains anew that are wrong, in one transaction; gives what was done.

        The ledger is held meanwhile, so that the worker waits, and what it has done since the
        comparison is read first. The result is written to the operators' log with it.
        """
        app, topic = self.desk.worker.app, self.desk.worker.topic.name
        await self.shadowing.catch_up()
        starts = {number: extent.start for number, extent in self.shadowing.extents.items()}
        async with self.shadow.transaction() as session:
            goals = self.shadowing.goals(await hold_offsets(session, app, topic, starts))
            if (left := self.shadowing.left(goals)) > HELD_RECORDS_MAX:
                raise RefusedError(
                    f"{app} goes on faster than it can be followed ({left} records):"
                    f" `faust -A streams.{app} pause` it for as long as this takes."
                )
            await self.shadowing.read_within(session, goals)
            for partition, goal in goals.items():
                await self.shadowing.look_for_letters(session, partition, goal)
            if whys := self._whys():
                raise RefusedError(f"Nothing was swapped: {whys[0]}.")
            entries, users = await swap_chains(session)
            result = f"{entries} entries of {users} users were written anew"
            await end_entry(session, entry, result)
        return result


def _made_at(one: Extra) -> datetime:
    """Give when an event was made, which its id says, also that of an erased entry."""
    return instant_of(one.event_id) or one.timestamp or _NEVER
