"""How many may come in: of one address, of all, and in a second."""

from collections.abc import Hashable
from dataclasses import dataclass, field

from gateway.limits import Limits
from gateway.rate import Bucket


@dataclass(slots=True)
class Quota:
    """Counts what each holder has, up to `per_holder`; who holds nothing takes no memory."""

    per_holder: int
    _held: dict[Hashable, int] = field(default_factory=dict)

    def take(self, holder: Hashable) -> bool:
        """Count one more, or refuse and count nothing."""
        held = self._held.get(holder, 0)
        if held >= self.per_holder:
            return False
        self._held[holder] = held + 1
        return True

    def release(self, holder: Hashable) -> None:
        """Give back one that `take` granted."""
        held = self._held.pop(holder) - 1
        if held:
            self._held[holder] = held


@dataclass(slots=True)
class Admission:
    """What is asked before an upgrade: a turn, which passes, and then a place, which is kept.

    A place is taken before the upgrade is answered and kept until the TCP connection is gone, so
    that neither a burst nor clients that will not go can overshoot.
    """

    limits: Limits
    begun_s: float
    taken: int = 0
    _turns: Bucket = field(init=False)

    def __post_init__(self) -> None:
        """Let a first burst in."""
        self._turns = Bucket(
            self.limits.handshakes_burst, self.limits.handshakes_per_s, self.begun_s
        )

    def take_turn(self, now_s: float) -> bool:
        """Say whether one more handshake may be looked at now."""
        return self._turns.take(now_s)

    def take_place(self) -> bool:
        """Count one more connection, or refuse and count nothing."""
        if self.taken >= self.limits.connections_max:
            return False
        self.taken += 1
        return True

    def leave_place(self) -> None:
        """Give back a place."""
        self.taken -= 1
