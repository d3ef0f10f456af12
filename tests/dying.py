"""A process that dies in the midst of a transaction: nothing of it is committed."""

from dataclasses import dataclass

from streams.store.database import Row, Session


class KilledError(Exception):
    """The process died here."""


@dataclass(frozen=True, slots=True)
class _Dying(Session):
    """Raises instead of running another statement, after so many."""

    left: list[int]

    async def fetch(self, sql: str, *parameters: object) -> list[Row]:
        self._count()
        return await Session.fetch(self, sql, *parameters)

    async def fetchrow(self, sql: str, *parameters: object) -> Row | None:
        self._count()
        return await Session.fetchrow(self, sql, *parameters)

    def _count(self) -> None:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise KilledError


def dying(session: Session, statements: int) -> Session:
    """Give a session that dies after so many statements."""
    return _Dying(session._connection, [statements])
