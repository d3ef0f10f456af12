"""Checking an exported audit trail, line by line and without a database; pure."""

from collections.abc import Iterator
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel, ValidationError

from schemas.audit import EntryLine, HeadLine
from streams.domain.audit_chain import ChainCheck, Counts, Finding, Head, Link, content_hash

Line = TypeVar("Line", bound=BaseModel)


class UnreadableError(ValueError):
    """A line is not one of an export; the message names the line, the field and the rule."""


class _Owner(BaseModel):
    """What a content says of itself, which must be what stands beside it."""

    id: UUID
    user_id: UUID


def check_lines(lines: Iterator[bytes], counts: Counts) -> Iterator[Finding]:
    """Find all that is wrong with an export, one line in memory at a time.

    Raises `UnreadableError` at a line that is none of an export, and at an end that is no head.
    """
    chain: ChainCheck | None = None
    number = 0
    for number, line in enumerate(lines, 1):
        if line.startswith(b'{"head":'):
            yield from _end(_read(HeadLine, line, number), chain, counts)
            break
        entry = _read(EntryLine, line, number)
        chain = chain or ChainCheck(entry.user_id)
        if entry.user_id != chain.user_id:
            raise UnreadableError(f"line {number}: /user_id: not the one of the lines before")
        counts.entries += 1
        counts.erased += entry.content is None
        yield from chain.follow(_link(entry))
    else:
        raise UnreadableError(f"line {number + 1}: /head: missing, the file was cut off")
    if next(lines, b""):
        raise UnreadableError(f"line {number + 1}: stands behind the head, which is the last line")


def _end(line: HeadLine, chain: ChainCheck | None, counts: Counts) -> Iterator[Finding]:
    head = line.head
    chain = chain or ChainCheck(head.user_id)
    if chain.user_id != head.user_id:
        raise UnreadableError("the last line: /head/user_id: not the one of the lines before")
    counts.users += 1
    yield from chain.finish(Head(head.position, head.hash, head.erased))


def _read(model: type[Line], line: bytes, number: int) -> Line:
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = "/".join(map(str, first["loc"]))
        raise UnreadableError(f"line {number}: /{field}: {first['type']}") from None


def _link(entry: EntryLine) -> Link:
    fits = columns_fit = True
    if entry.content is not None:
        fits = content_hash(entry.content.encode()) == entry.content_hash
        columns_fit = _owner(entry.content) == _Owner(id=entry.entry_id, user_id=entry.user_id)
    erased = entry.content is None
    return Link(
        entry.position,
        entry.entry_id,
        entry.content_hash,
        entry.hash,
        erased=erased,
        content_fits=fits,
        columns_fit=columns_fit,
    )


def _owner(content: str) -> _Owner | None:
    try:
        return _Owner.model_validate_json(content)
    except ValidationError:
        return None
