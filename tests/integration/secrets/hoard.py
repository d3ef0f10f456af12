"""Secrets that are known to a test, and the places where each of them is looked for."""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, quote_plus


@dataclass
class Hoard:
    """Secrets by name, and texts by the place that they were found in."""

    secrets: dict[str, str] = field(default_factory=dict)
    places: dict[str, bytes] = field(default_factory=dict)

    def keep(self, name: str, secret: str) -> str:
        """Remember a secret, and give it back; short ones would be found by chance."""
        assert len(secret) >= 12, name
        self.secrets[name] = secret
        return secret

    def look_at(self, place: str, found: bytes) -> None:
        """Remember what is to be searched."""
        self.places[place] = self.places.get(place, b"") + found

    def leaks(self) -> list[str]:
        """Name each secret that is somewhere, and where."""
        return [
            f"{name} in {place}: …{_around(text, form)!r}…"
            for place, text in self.places.items()
            for name, secret in self.secrets.items()
            for form in _forms(secret)
            if form in text
        ]


def _forms(secret: str) -> Iterable[bytes]:
    """Give a secret as it may be written: plain, in a URL, in base64, and half of it."""
    raw = secret.encode()
    yield from {
        raw,
        quote(secret, safe="").encode(),
        quote_plus(secret).encode(),
        b64encode(raw).rstrip(b"="),
        raw[: max(12, len(raw) // 2)] if secret.count(".") != 2 else raw.rpartition(b".")[2],
    }


def _around(text: bytes, form: bytes) -> bytes:
    at = text.index(form)
    return text[max(0, at - 120) : at + 40]


def texts(values: Mapping[str, object]) -> bytes:
    """Give the environment or the like as text."""
    return "\n".join(f"{name}={value}" for name, value in values.items()).encode()
