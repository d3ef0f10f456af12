"""A token bucket: a burst is forgiven, a steady flood is not."""

from dataclasses import dataclass


@dataclass(slots=True)
class Bucket:
    """Holds up to `size` tokens and gains `per_s` each second; it begins full, at `filled_s`."""

    size: float
    per_s: float
    filled_s: float
    level: float = -1.0

    def __post_init__(self) -> None:
        """Fill it."""
        self.level = self.size

    def take(self, now_s: float) -> bool:
        """Take one token, or say that there is none; a clock that stands still gains nothing."""
        gained = max(0.0, now_s - self.filled_s) * self.per_s
        self.level = min(self.size, self.level + gained)
        self.filled_s = max(self.filled_s, now_s)
        if self.level < 1.0:
            return False
        self.level -= 1.0
        return True
