"""Who has a place: those that are served keep it, and who waits the longest makes room."""

from dataclasses import dataclass, field

from api.crowd import Crowd


@dataclass(eq=False)
class Client:
    """A connection that notes when it is ended."""

    ended: list[str]
    name: str = ""

    def make_room(self) -> None:
        self.ended.append(self.name)


@dataclass
class Room:
    crowd: Crowd = field(default_factory=lambda: Crowd(3))
    ended: list[str] = field(default_factory=list)

    def come(self, name: str) -> Client:
        client = Client(self.ended, name)
        assert self.crowd.enter(client)
        return client


def test_who_waits_the_longest_makes_room() -> None:
    room = Room()
    first, *_ = [room.come(name) for name in "abc"]
    room.crowd.wait(first)
    room.come("d")
    room.come("e")
    assert room.ended == ["b", "c"]


def test_who_is_being_served_keeps_the_place_and_gives_it_back() -> None:
    """When all are, the next one is refused, and counts for nothing."""
    room = Room()
    clients = [room.come(name) for name in "abc"]
    for client in clients:
        room.crowd.work(client)
    assert not room.crowd.enter(Client(room.ended, "d"))
    room.crowd.leave(clients[0])
    room.crowd.leave(clients[0])
    room.come("e")
    room.come("f")
    assert room.ended == ["e"]


def test_who_has_left_waits_for_nothing() -> None:
    """So that a place is never taken from one that has none."""
    room = Room()
    gone = room.come("a")
    room.crowd.leave(gone)
    room.crowd.wait(gone)
    for name in "bcde":
        room.come(name)
    assert room.ended == ["b"]
