"""JSON has one door: quick for what we wrote ourselves, strict for what a stranger sent."""

import json
from typing import Any

import orjson

JsonObject = dict[str, Any]
"""A decoded object on its way into a model; nothing passes it on undecided."""


class MalformedError(ValueError):
    """The bytes are not acceptable JSON; the message says why, and is fit to be shown."""


def encode(value: object) -> bytes:
    """Write a value as compact UTF-8 JSON; an instant in UTC ends in Z."""
    return orjson.dumps(value, option=orjson.OPT_UTC_Z)


def fragment(text: str | bytes) -> orjson.Fragment:
    """Mark text as JSON already, to be put into an encoded value as it is."""
    return orjson.Fragment(text)


def decode(raw: bytes | str) -> Any:
    """Read RFC 8259 JSON; NaN, lone surrogates, bad UTF-8 and depth over 1,024 are malformed."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedError(f"not JSON: {error}") from error


def decode_strictly(raw: bytes) -> Any:
    """Read JSON of a stranger: as `decode`, and also without a repeated key or a NUL character.

    PostgreSQL's text has no NUL, and two readers may each take another one of two equal keys
    (RFC 8259, section 4), so both are refused rather than repaired. Integers keep all their digits,
    and those that Python refuses to read (over 4,300 digits) are malformed.
    """
    decode(raw)
    try:
        value = json.loads(raw.decode(), object_pairs_hook=_unique)
    except RecursionError as error:
        raise MalformedError("nested too deeply") from error
    except ValueError as error:
        raise MalformedError(str(error)) from error
    if b"\\u0000" in raw and _has_nul(value):
        raise MalformedError("a string contains the NUL character")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise MalformedError("an object has the same key twice")
    return members


def _has_nul(value: object) -> bool:
    pending = [value]
    while pending:
        match pending.pop():
            case str() as text if "\0" in text:
                return True
            case dict() as members:
                pending += [*members.keys(), *members.values()]
            case list() as items:
                pending += items
            case _:
                pass
    return False
