"""How many connections one address may hold at a time."""

from collections.abc import Hashable
from dataclasses import dataclass, field


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
