"""A campaign: clients, faults and the probe between them, then what the checker finds."""

import asyncio
import random
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp
from time import monotonic

import httpx

from streams.store.database import Database, StoreError
from streams.transport.interface import Transport, TransportError
from tests.campaign.checker import Violation, check
from tests.campaign.clients import ANSWER_S_MAX, Client, User, register
from tests.campaign.evidence import Evidence, gather, ledgers_behind
from tests.campaign.faults import Fault, Nemesis, Plan
from tests.campaign.history import Heard
from tests.campaign.listeners import Listener
from tests.campaign.probe import NotRecoveredError, Probe
from tests.campaign.report import Outcome, Struck
from tests.campaign.world import World, running_world
from tests.waiting import eventually

USERS = 6
CLIENTS_EACH = 2
LISTENERS_EACH = 2
CALM_S = (0.5, 3.0)
DRAIN_S_MAX = 60.0
CATCH_UP_S_MAX = 45.0

_UNDRAINED = """
    SELECT (SELECT count(*) FROM outbox)
         + (SELECT count(*) FROM reminders WHERE fires_at < clock_timestamp() + interval '1 day')
           AS waiting"""


@dataclass(slots=True)
class Campaign:
    """One run; `names` are the faults it chooses from, all if None."""

    seed: int
    minutes: float
    say: Callable[[str], None]
    names: Sequence[str] | None = None
    pause_s: float = 0.15
    _began_at: float = 0.0
    _outcome: Outcome = field(default_factory=lambda: Outcome(0, 0.0))

    async def run(self, logs: Path | None = None) -> Outcome:
        """Run it, and keep the processes' logs if something was found."""
        self._outcome = Outcome(self.seed, self.minutes * 60)
        directory = logs or Path(mkdtemp(prefix="taskflow-campaign-logs-"))
        async with running_world(directory) as world:
            self._outcome.full_disk = world.disk is not None
            self._began_at = monotonic()
            await self._run_in(world)
        if self._outcome.violations:
            self.say(f"the processes' logs are in {directory}")
        elif logs is None:
            shutil.rmtree(directory)
        return self._outcome

    async def _run_in(self, world: World) -> None:
        outcome, stopping = self._outcome, asyncio.Event()
        limits = httpx.Timeout(ANSWER_S_MAX)
        async with httpx.AsyncClient(
            base_url=world.stack.api_url, timeout=limits, trust_env=False
        ) as http:
            users = [await register(http, f"user-{number}") for number in range(USERS)]
            listeners = self._listeners(world, users)
            probe = await self._probe(world, http, listeners)
            listening = [asyncio.create_task(one.run()) for one in listeners]
            await asyncio.gather(*(one.ready.wait() for one in listeners))
            clients = [
                asyncio.create_task(client.run(stopping)) for client in self._clients(http, users)
            ]
            outcome.struck.append(await self._strike({}, probe))
            if not self._is_stuck:
                await self._strike_until_the_end(world, probe)
            stopping.set()
            await asyncio.gather(*clients)
            # What did not recover will not drain either.
            drained = None if self._is_stuck else await self._drain(world)
            outcome.evidence = await gather(world.database, world.transport)
            if drained is None and not self._is_stuck:
                await self._let_listeners_end(outcome.evidence, listeners)
            for task in listening:
                assert not task.done(), task.exception()
                task.cancel()
            await asyncio.wait(listening)
        found = [] if drained is None else [Violation(1, drained)]
        stuck = [
            Violation(1, f"no recovery in time after {', '.join(one.names) or 'the start'}")
            for one in outcome.struck
            if one.recovery_s is None
        ]
        outcome.violations = [*stuck, *found, *check(outcome.history, outcome.evidence)]

    @property
    def _is_stuck(self) -> bool:
        return any(one.recovery_s is None for one in self._outcome.struck)

    def _listeners(self, world: World, users: Sequence[User]) -> list[Listener]:
        found = []
        for user in users:
            for number in range(LISTENERS_EACH):
                heard = Heard(user.id)
                self._outcome.history.heard.append(heard)
                dice = random.Random(f"listener/{self.seed}/{user.email}/{number}")
                found.append(Listener(world.stack.ws_url, user, heard, dice, stays=number == 0))
        return found

    async def _probe(
        self, world: World, http: httpx.AsyncClient, listeners: list[Listener]
    ) -> Probe:
        user = await register(http, "probe")
        heard = Heard(user.id)
        self._outcome.history.heard.append(heard)
        listener = Listener(world.stack.ws_url, user, heard, random.Random(0), stays=True)
        listeners.append(listener)
        return Probe(http, user, listener, world.database, self._outcome.history)

    def _clients(self, http: httpx.AsyncClient, users: Sequence[User]) -> list[Client]:
        return [
            Client(
                name=f"client-{self.seed}-{number}-{which}",
                user=user,
                victim=users[(number + 1) % len(users)],
                http=http,
                history=self._outcome.history,
                dice=random.Random(f"client/{self.seed}/{number}/{which}"),
                pause_s=self.pause_s,
            )
            for number, user in enumerate(users)
            for which in range(CLIENTS_EACH)
        ]

    async def _strike_until_the_end(self, world: World, probe: Probe) -> None:
        dice = random.Random(f"faults/{self.seed}")
        possible = Nemesis(world, self._outcome.history, dice).kinds()
        chosen = [name for name in possible if not self.names or name in self.names]
        plan = Plan.of(chosen, self.seed)
        until = self._began_at + self.minutes * 60
        while monotonic() < until:
            await asyncio.sleep(dice.uniform(*CALM_S))
            struck = await self._strike({name: possible[name] for name in plan.next()}, probe)
            self._outcome.struck.append(struck)
            if struck.recovery_s is None:
                return

    async def _strike(self, faults: Mapping[str, Fault], probe: Probe) -> Struck:
        """Let faults happen together, and wait until all works again."""
        began_at, recovery_s = monotonic(), None
        what = ", ".join(faults) or "no fault yet"
        await asyncio.gather(*(fault() for fault in faults.values()))
        try:
            await probe.run_once()
            recovery_s = monotonic() - began_at
            ending = f"all works after {recovery_s:.1f} s"
        except NotRecoveredError as error:
            ending = f"NOT RECOVERED: {error}"
        at_s = began_at - self._began_at
        self.say(f"  {at_s:6.1f} s  {what}: {ending}")
        return Struck(at_s, tuple(faults), recovery_s)

    async def _drain(self, world: World) -> str | None:
        """Wait until all is where it belongs; give what is not, if it never is."""

        async def drained() -> bool:
            try:
                row = await world.database.fetchrow(_UNDRAINED)
                behind = await ledgers_behind(world.database, world.transport)
            except (StoreError, TransportError):
                return False
            return row is not None and row["waiting"] == 0 and not behind

        try:
            await eventually(drained, DRAIN_S_MAX, "everything has drained")
        except AssertionError:
            return await _backlog(world.database, world.transport)
        return None

    async def _let_listeners_end(self, evidence: Evidence, listeners: Sequence[Listener]) -> None:
        """Wait until each has as many events as there are; the checker says what lacks if not."""
        wanted = Counter(event.user_id for event in evidence.updates)

        async def have_all() -> bool:
            return all(
                sum(len(visit.events) for visit in one.heard.visits) >= wanted[one.user.id]
                for one in listeners
            )

        try:
            await eventually(have_all, CATCH_UP_S_MAX, "every listener has all")
        except AssertionError as error:
            self.say(f"  {error}")


async def _backlog(database: Database, transport: Transport) -> str:
    row = await database.fetchrow(_UNDRAINED)
    behind = await ledgers_behind(database, transport)
    return (
        f"not drained in {DRAIN_S_MAX:.0f} s: {row['waiting'] if row else '?'} wait; {behind[:4]}"
    )
