"""Time comes in two kinds: tokens end by the calendar's clock, silence by one that never jumps."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, by both clocks."""

    at: datetime
    ticks_s: float

    @classmethod
    def now(cls) -> "Moment":
        """Read both clocks."""
        return cls(datetime.now(UTC), time.monotonic())
