"""The lines of an exported audit trail; docs/audit-format.md says how they prove each other."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

_LINE = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="hex", val_json_bytes="hex")

Hash = Annotated[bytes, Field(min_length=32, max_length=32)]
"""A SHA-256, in JSON as 64 hexadecimal digits."""


class EntryLine(BaseModel):
    """One entry; its content is null when it was erased with its account."""

    model_config = _LINE

    user_id: UUID
    position: int
    entry_id: UUID
    content: str | None
    content_hash: Hash
    hash: Hash


class ChainEnd(BaseModel):
    """Where a user's chain ended when it was exported."""

    model_config = _LINE

    user_id: UUID
    position: int = Field(ge=0)
    hash: Hash
    erased: bool


class HeadLine(BaseModel):
    """The last line; a file without it was cut off."""

    model_config = _LINE

    head: ChainEnd
