"""The connections of one API process: so many, and who waits the longest makes room."""

from dataclasses import dataclass, field
from typing import Protocol


class Guest(Protocol):
    """A connection, as far as its place is concerned."""

    def make_room(self) -> None:
        """End now, and leave."""


@dataclass(slots=True)
class Crowd:
    """Counts connections up to `places`, and knows which of them wait for their client.

    A connection waits while its client owes it something: a request's head or body, or the taking
    of an answer. At the limit the one that has waited the longest is ended for the new one, so that
    those who open connections and say nothing keep nobody out. Only when all of them are being
    served is the new one refused.
    """

    places: int
    _guests: set[Guest] = field(default_factory=set)
    _waiting: dict[Guest, None] = field(default_factory=dict)

    def enter(self, guest: Guest) -> bool:
        """Take a place, or say that there is none; who has entered waits, and must leave."""
        if len(self._guests) >= self.places:
            if not self._waiting:
                return False
            oldest = next(iter(self._waiting))
            self.leave(oldest)
            oldest.make_room()
        self._guests.add(guest)
        self.wait(guest)
        return True

    def wait(self, guest: Guest) -> None:
        """Note that a connection begins to wait for its client; anew, if it does already."""
        if guest in self._guests:
            self._waiting.pop(guest, None)
            self._waiting[guest] = None

    def work(self, guest: Guest) -> None:
        """Note that a connection is being served."""
        self._waiting.pop(guest, None)

    def leave(self, guest: Guest) -> None:
        """Give back a place; again is nothing."""
        self._guests.discard(guest)
        self._waiting.pop(guest, None)
