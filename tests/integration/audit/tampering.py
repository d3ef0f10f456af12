"""Ways to change the audit trail behind TaskFlow's back, as whoever has the database could."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from uuid import UUID, uuid4

from streams.domain.audit_chain import content_hash, link_hash
from streams.store.database import Row, Session

NO_RULES = """
    ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_pkey;
    ALTER TABLE audit_entries DROP CONSTRAINT audit_entries_event_id_key"""
"""Constraints would refuse some of these changes; whoever can change rows can drop those."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One tampering: where, and by what luck."""

    session: Session
    rng: Random
    user: UUID
    position: int
    last: int

    async def row(self, position: int | None = None) -> Row:
        row = await self.session.fetchrow(
            "SELECT * FROM audit_entries WHERE user_id = $1 AND position = $2",
            self.user,
            position or self.position,
        )
        assert row
        return row

    async def set(self, column: str, value: object, position: int | None = None) -> None:
        sql = f"UPDATE audit_entries SET {column} = $3 WHERE user_id = $1 AND position = $2"
        await self.session.fetch(sql, self.user, position or self.position, value)

    async def delete(self, rows: str = "position = $2") -> None:
        await self.session.fetch(
            f"DELETE FROM audit_entries WHERE user_id = $1 AND $2 > 0 AND {rows}",
            self.user,
            self.position,
        )

    async def head(self, change: str) -> None:
        await self.session.fetch(f"UPDATE audit_heads SET {change} WHERE user_id = $1", self.user)


async def content(scene: Scene) -> None:
    text = (await scene.row())["content"]
    place = scene.rng.randrange(len(text))
    other = scene.rng.choice([letter for letter in "abc123" if letter != text[place]])
    await scene.set("content", text[:place] + other + text[place + 1 :])


async def content_with_its_hash(scene: Scene) -> None:
    text = (await scene.row())["content"].replace("Task", "Tusk")
    await scene.set("content", text)
    await scene.set("content_hash", content_hash(text.encode()))


async def content_with_all_hashes_of_its_row(scene: Scene) -> None:
    await content_with_its_hash(scene)
    row = await scene.row()
    previous = (await scene.row(scene.position - 1))["hash"] if scene.position > 1 else b""
    await scene.set("hash", link_hash(previous, row["content_hash"]))


async def timestamp(scene: Scene) -> None:
    sql = "UPDATE audit_entries SET timestamp = timestamp + $3 * interval '1 microsecond'"
    await scene.session.fetch(
        f"{sql} WHERE user_id = $1 AND position = $2",
        scene.user,
        scene.position,
        scene.rng.choice([-1, 1, 1_000_000]),
    )


async def event_type(scene: Scene) -> None:
    await scene.set("event_type", "deleted")


async def task(scene: Scene) -> None:
    await scene.set("task_id", uuid4())


async def event(scene: Scene) -> None:
    await scene.set("event_id", uuid4())


async def entry_id(scene: Scene) -> None:
    await scene.set("id", uuid4())


async def owner(scene: Scene) -> None:
    await scene.set("user_id", uuid4())


async def one_gone(scene: Scene) -> None:
    await scene.delete()


async def first_gone(scene: Scene) -> None:
    await scene.delete("position = 1")


async def last_gone(scene: Scene) -> None:
    await scene.delete(f"position = {scene.last}")


async def end_gone(scene: Scene) -> None:
    await scene.delete("position >= $2")


async def all_gone(scene: Scene) -> None:
    await scene.delete("true")


async def gone_and_closed(scene: Scene) -> None:
    """The entries behind it move up."""
    await scene.delete()
    await scene.session.fetch(
        "UPDATE audit_entries SET position = position - 1 WHERE user_id = $1 AND position > $2",
        scene.user,
        scene.position,
    )


async def added_behind(scene: Scene) -> None:
    """With hashes that follow from the last entry's."""
    row = await scene.row(scene.last)
    text = row["content"].replace("Task", "Tusk")
    digest = content_hash(text.encode())
    await _insert(scene, row, scene.last + 1, text, digest, link_hash(row["hash"], digest))


async def added_between(scene: Scene) -> None:
    row = await scene.row()
    await scene.session.fetch(
        "UPDATE audit_entries SET position = position + 1 WHERE user_id = $1 AND position >= $2",
        scene.user,
        scene.position,
    )
    await _insert(scene, row, scene.position, row["content"], row["content_hash"], row["hash"])


async def repeated(scene: Scene) -> None:
    row = await scene.row()
    await _insert(scene, row, scene.position, row["content"], row["content_hash"], row["hash"])


async def swapped(scene: Scene) -> None:
    other = scene.position % scene.last + 1
    await scene.set("position", 1_000_000)
    await scene.set("position", scene.position, other)
    await scene.set("position", other, 1_000_000)


async def contents_swapped(scene: Scene) -> None:
    one, place = await scene.row(), scene.position % scene.last + 1
    other = await scene.row(place)
    for column in ("content", "content_hash", "id", "event_id", "task_id", "timestamp"):
        await scene.set(column, other[column])
        await scene.set(column, one[column], place)


async def entry_hash(scene: Scene) -> None:
    await scene.set("hash", scene.rng.randbytes(32))


async def hash_of_content(scene: Scene) -> None:
    await scene.set("content_hash", scene.rng.randbytes(32))


async def one_erased(scene: Scene) -> None:
    await scene.session.fetch(
        "UPDATE audit_entries SET content = NULL, event_type = NULL, task_id = NULL,"
        " timestamp = NULL WHERE user_id = $1 AND position = $2",
        scene.user,
        scene.position,
    )


async def one_erased_and_noted(scene: Scene) -> None:
    await one_erased(scene)
    await scene.head("erased_at = now()")


async def head_hash(scene: Scene) -> None:
    await scene.head("hash = sha256(hash)")


async def head_back(scene: Scene) -> None:
    await scene.head("position = position - 1")


async def head_forward(scene: Scene) -> None:
    await scene.head("position = position + 1")


async def head_gone(scene: Scene) -> None:
    await scene.session.fetch("DELETE FROM audit_heads WHERE user_id = $1", scene.user)


async def _insert(
    scene: Scene, row: Row, position: int, text: str, digest: bytes, link: bytes
) -> None:
    await scene.session.fetch(
        "INSERT INTO audit_entries VALUES ($1, $2, $3, $4, 'updated', $5, $6, $7, $8, $9)",
        scene.user,
        position,
        row["id"],
        row["event_id"],
        row["task_id"],
        row["timestamp"],
        text,
        digest,
        link,
    )


WAYS: tuple[Callable[[Scene], Awaitable[None]], ...] = (
    content,
    content_with_its_hash,
    content_with_all_hashes_of_its_row,
    timestamp,
    event_type,
    task,
    event,
    entry_id,
    owner,
    one_gone,
    first_gone,
    last_gone,
    end_gone,
    all_gone,
    gone_and_closed,
    added_behind,
    added_between,
    repeated,
    swapped,
    contents_swapped,
    entry_hash,
    hash_of_content,
    one_erased,
    one_erased_and_noted,
    head_hash,
    head_back,
    head_forward,
    head_gone,
)
