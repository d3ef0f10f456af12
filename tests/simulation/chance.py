"""Chance: all that is left open, decided by one seed."""

from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from uuid import UUID


class Fault(Enum):
    """What may go wrong where a process waits for the database or the log."""

    CRASH = auto()
    """The process ends there: before what it asked for is done, or after, without the answer."""
    STOP = auto()
    """The process stands still for a while, maybe for longer than its lease."""
    REFUSED = auto()
    """Nothing is done, and an error is told."""
    UNANSWERED = auto()
    """It is done, and an error is told."""
    LATE = auto()
    """An error is told, and it is done some time afterwards."""
    REPEATED = auto()
    """A worker is given records that it had before."""
    SKIPPED = auto()
    """A worker is not given some records."""
    CUT = auto()
    """A client loses its connection, and some of what was on its way."""
    SLOW = auto()
    """The answer takes up to seconds."""


_RATES = {
    Fault.CRASH: (0.0, 0.002, 0.01),
    Fault.STOP: (0.0, 0.002, 0.01),
    Fault.REFUSED: (0.0, 0.01, 0.05),
    Fault.UNANSWERED: (0.0, 0.01, 0.05),
    Fault.LATE: (0.0, 0.1, 0.4),
    Fault.REPEATED: (0.0, 0.1, 0.4),
    Fault.SKIPPED: (0.0, 0.1, 0.3),
    Fault.CUT: (0.0, 0.1, 0.3),
    Fault.SLOW: (0.0, 0.01, 0.05),
}
"""Each seed has some of the faults and not others: rare ones are not drowned by frequent ones."""

SLOW_S_MAX = 6.0
"""Longer than the lease; shorter than the server's `statement_timeout`."""


@dataclass
class Chance:
    """Draws from one seed; when it is calm, nothing goes wrong any more."""

    seed: int
    ending: list[str] = field(default_factory=list)
    """Why nothing goes wrong any more; all that were made apart have the same list."""
    random: Random = field(init=False)
    rates: dict[Fault, float] = field(init=False)
    _ids: int = 0

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.rates = {fault: self.random.choice(rates) for fault, rates in _RATES.items()}

    def apart(self, name: str) -> "Chance":
        """Give another one with the same faults, for whoever may draw before or after others.

        What is woken at the same instant has an order that is not the seed's: a set's, for one.
        """
        other = Chance(self.seed, self.ending)
        other.random, other.rates = Random(f"{self.seed} {name}"), self.rates
        return other

    @property
    def calm(self) -> bool:
        """Whether nothing goes wrong any more."""
        return bool(self.ending)

    def calm_down(self, why: str) -> None:
        """Let nothing go wrong any more, here and for all that were made apart."""
        self.ending.append(why)

    def strikes(self, fault: Fault) -> bool:
        """Say whether a fault happens here."""
        return not self.calm and self.random.random() < self.rates[fault]

    def latency_s(self) -> float:
        """Give how long the way to a server takes, or the way back."""
        if self.strikes(Fault.SLOW):
            return self.random.uniform(0.1, SLOW_S_MAX)
        return self.random.expovariate(1_000)

    def between(self, low: float, high: float) -> float:
        """Give a number between two."""
        return self.random.uniform(low, high)

    def id_at(self, at_s: float) -> UUID:
        """Make an id that sorts after those made before it, as version 7 of RFC 9562 does."""
        self._ids += 1
        milliseconds = int(at_s * 1_000) & (1 << 48) - 1
        low = (1 << 63) | self.random.getrandbits(62)
        return UUID(int=milliseconds << 80 | 7 << 76 | (self._ids & 0xFFF) << 64 | low)
