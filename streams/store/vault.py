"""The vault: credentials as the tables hold them, which nobody reads without CHANNEL_KEYS."""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from schemas import codec
from schemas.codec import JsonObject

_KEY_BYTES = 32


class SealedError(Exception):
    """No key opens it: it was sealed with one that is not among CHANNEL_KEYS, or for another."""


@dataclass(frozen=True, slots=True)
class Vault:
    """Seals with the first key, and opens with any: a new key goes before the old ones."""

    _fernet: MultiFernet = field(repr=False)

    def seal(self, owner: UUID, secret: JsonObject) -> str:
        """Encrypt for one row; moved to another, it opens no more."""
        plain = codec.encode({"owner": str(owner), "secret": secret})
        return self._fernet.encrypt(plain).decode()

    def open(self, owner: UUID, sealed: str) -> JsonObject:
        """Decrypt what was sealed for this row; raises `SealedError`."""
        try:
            found: JsonObject = codec.decode(self._fernet.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise SealedError("no key of CHANNEL_KEYS opens it") from error
        if found["owner"] != str(owner):
            raise SealedError("it was sealed for another row")
        secret: JsonObject = found["secret"]
        return secret

    def reseal(self, sealed: str) -> str:
        """Encrypt with the first key what another one may have sealed; raises `SealedError`."""
        try:
            return self._fernet.rotate(sealed.encode()).decode()
        except InvalidToken as error:
            raise SealedError("no key of CHANNEL_KEYS opens it") from error


def make_vault(keys: Sequence[str]) -> Vault | None:
    """Make the vault of CHANNEL_KEYS; None if there are none."""
    if not keys:
        return None
    return Vault(MultiFernet([Fernet(_derived(key)) for key in keys]))


def _derived(key: str) -> bytes:
    """Give the key that the library wants; a text of any form may be the operator's."""
    kdf = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=b"taskflow channels")
    return urlsafe_b64encode(kdf.derive(key.encode()))
