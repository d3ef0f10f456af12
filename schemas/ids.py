"""Identifiers are UUIDs; those made here are version 7 (RFC 9562), so that they sort by time."""

import re
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from pydantic import StringConstraints
from uuid_utils.compat import uuid7

_V7 = 7
_CANONICAL = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


def new_id() -> UUID:
    """Make an id that sorts after those made before it by this process."""
    return uuid7()


def parse_id(text: str) -> UUID | None:
    """Read a lower-case canonical UUID; None for every other spelling, so that an id has one."""
    return UUID(text) if _CANONICAL.fullmatch(text) else None


def instant_of(an_id: UUID) -> datetime | None:
    """Give when an id was made, to the millisecond; None for one that is no UUIDv7."""
    if an_id.version != _V7:
        return None
    return datetime.fromtimestamp((an_id.int >> 80) / 1000, UTC)
