"""Passwords: Argon2id off the event loop, and a few at a time, since each takes 64 MiB."""

import asyncio
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from api.problems import unavailable

AT_A_TIME = 2
WAIT_S_MAX = 10.0
"""A login that waits longer is told to come again: a flood of them must not pile up."""


@dataclass(slots=True)
class Passwords:
    """Hashes and checks with the library's own recommended parameters (RFC 9106)."""

    _hasher: PasswordHasher = field(default_factory=PasswordHasher)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))
    _nobody: str = ""

    async def hash(self, password: str) -> str:
        """Give the hash to keep of a password; 503 if too many wait."""
        await self._take_place()
        try:
            return await asyncio.to_thread(self._hasher.hash, password)
        finally:
            self._places.release()

    async def matches(self, password: str, known_hash: str | None) -> bool:
        """Tell whether a password is the one that was hashed; without a hash, as slowly, no."""
        self._nobody = self._nobody or await self.hash("nobody's password")
        await self._take_place()
        try:
            same = await asyncio.to_thread(self._verify, known_hash or self._nobody, password)
        finally:
            self._places.release()
        return same and known_hash is not None

    def _verify(self, known_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(known_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _take_place(self) -> None:
        try:
            await asyncio.wait_for(self._places.acquire(), WAIT_S_MAX)
        except TimeoutError as error:
            raise unavailable("Too many passwords are being checked.") from error
