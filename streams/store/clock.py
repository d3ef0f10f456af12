"""The database's clock, told without asking it each time."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import monotonic

from streams.store.database import Database

SAMPLES = 3
_CLOCK = "SELECT clock_timestamp() AS now"


@dataclass(slots=True)
class DatabaseClock:
    """Tells what the database's clock shows, by this process's own from when it was measured.

    It is off by at most half of the time that the quickest of the answers took.
    """

    own_clock: Callable[[], float] = monotonic
    _then: datetime = datetime(1, 1, 1, tzinfo=UTC)
    _since: float = 0.0

    async def measure(self, database: Database) -> None:
        """Ask a few times, and go by the quickest answer."""
        best_s = float("inf")
        for _ in range(SAMPLES):
            asked = self.own_clock()
            row = await database.fetchrow(_CLOCK)
            took_s = self.own_clock() - asked
            if row is not None and took_s < best_s:
                best_s = took_s
                self._then, self._since = row["now"], asked + took_s / 2

    def set(self, now: datetime) -> None:
        """Go by what the database has just said; it may show more by now, and never less."""
        self._then, self._since = now, self.own_clock()

    def now(self) -> datetime:
        """Give the instant."""
        return self._then + timedelta(seconds=self.own_clock() - self._since)
