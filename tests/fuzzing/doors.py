"""Every decoder that a stranger's bytes reach: how it is called, and what it may say to them."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import islice
from typing import Any

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeaderValue
from websockets.http11 import Request as Upgrade

from api.answers import read_cursor, read_limit
from api.etags import check_if_match, has_already
from api.requests import MERGE_PATCH, parse_body, path_id, query_parameters, read_raw_body, single
from gateway.handshake import Door as GatewayDoor
from schemas import codec
from schemas.accounts import LoginBody, RegisterBody
from schemas.addresses import client_address, network_of
from schemas.events import TraceParent
from schemas.frames import CLIENT_FRAME
from schemas.positions import PositionError, PositionSeal
from schemas.problems import ProblemError
from schemas.recurrence import parse_rule
from schemas.settings import Settings
from schemas.tasks import RecurrencePattern, TaskFields
from schemas.tokens import TokenError, TokenKey
from streams.domain.addresses import url_fault
from streams.domain.recurrence import Rule, days_after, misfit
from streams.effects.dead_letters import dead_letter, stub_of
from streams.effects.reading import PoisonError, read_event
from streams.transport.interface import Record
from tests.unit.schemas.samples import USER_ID

NOW = datetime(2027, 1, 1, tzinfo=UTC)
SECRET = "s" * 32
KEY, SEAL = TokenKey(SECRET), PositionSeal.from_secret(SECRET)
PROXIES = Settings(_env_file=None, trusted_proxies="127.0.0.0/8,::1/128").trusted_proxies
TRACE: TypeAdapter[str] = TypeAdapter(TraceParent)
GATEWAY = GatewayDoor(KEY, ("https://app.example",))
DAYS = 3


@dataclass(frozen=True, slots=True)
class Decoder:
    """One decoder; any error that is not among `refusals` is a defect."""

    call: Callable[[bytes], object]
    refusals: tuple[type[Exception], ...] = ()


def _text(raw: bytes) -> str:
    """Read bytes as HTTP's headers are read, so that every input is a text."""
    return raw.decode("latin-1")


def _request(raw: bytes = b"", query: bytes = b"", **headers: bytes) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": raw, "more_body": False}

    lines = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/",
        "query_string": query,
        "headers": lines,
        "path_params": {"id": _text(raw)},
    }
    return Request(scope, receive)


def _body(raw: bytes) -> None:
    request = _request(raw)
    taken = asyncio.run(read_raw_body(request)) if len(raw) % 50 == 0 else raw
    for model in (TaskFields, LoginBody, RegisterBody):
        with suppress(ProblemError):
            parse_body(request, taken, model, MERGE_PATCH)


def _query(raw: bytes) -> None:
    request = _request(query=raw)
    for name, values in query_parameters(request, ("limit", "cursor", "q")).items():
        assert "\0" not in "".join(values)
        single({name: values}, name)
        for read in (read_limit, read_cursor):
            with suppress(ProblemError):
                read(values[0])


def _header(raw: bytes) -> None:
    for name in ("content_type", "content_encoding", "content_length"):
        with suppress(ProblemError):
            parse_body(_request(**{name: raw}), b"{}", LoginBody)
    with suppress(ValidationError):
        TRACE.validate_python(_text(raw))
    network_of(client_address("127.0.0.1", [_text(raw)], PROXIES))
    with suppress(ProblemError):
        path_id(_request(raw), "id")


def _if_match(raw: bytes) -> None:
    has_already(_request(if_none_match=raw), 1)
    check_if_match(_request(if_match=raw), 1, "task")


def _rule(raw: bytes) -> None:
    parts = parse_rule(_text(raw)[:500])
    for pattern in (RecurrencePattern.DAILY, RecurrencePattern.MONTHLY, RecurrencePattern.YEARLY):
        if misfit(pattern, parts) is None:
            rule = Rule(pattern, 1, parts)
            for day in islice(days_after(rule, date(2027, 1, 31), date(2027, 2, 1)), DAYS):
                assert day > date(2027, 2, 1)


def _envelope(raw: bytes) -> None:
    read_event(Record("task-events", 0, 0, str(USER_ID).encode(), raw, (), 0))


def _dead_letter(raw: bytes) -> None:
    name = _text(raw)[:200]
    for headers in ((("dlq-app", raw),), ((name, raw), (name, raw)), (("dlq-offset", raw),)):
        record = Record("task-events", 0, 0, raw, raw, headers, 0)
        letter = dead_letter(record, "audit", PoisonError(name))
        assert letter.value == raw
        assert letter.headers[: len(headers)] == headers
        assert not stub_of(letter).value


def _upgrade(raw: bytes) -> None:
    text = _text(raw).replace("\r", "").replace("\n", "")
    for name in ("Origin", "Authorization", "Sec-WebSocket-Protocol", "Host"):
        try:
            headers = Headers([("Host", "a"), ("Origin", "https://a"), (name, text)])
        except InvalidHeaderValue:
            continue  # the library lets none of these through
        GATEWAY.decide(Upgrade("/ws", headers), NOW)
    GATEWAY.decide(Upgrade(f"/ws?{text}", Headers()), NOW)


def _url(raw: bytes) -> None:
    for text in (_text(raw), raw.decode(errors="surrogateescape")):
        url_fault(text, (), allow_http=True)


DECODERS: Mapping[str, Decoder] = {
    "JSON, ours": Decoder(codec.decode, (codec.MalformedError,)),
    "JSON, strict": Decoder(codec.decode_strictly, (codec.MalformedError,)),
    "HTTP body": Decoder(_body, (ProblemError,)),
    "query string": Decoder(_query, (ProblemError,)),
    "header": Decoder(_header, (ProblemError,)),
    "If-Match": Decoder(_if_match, (ProblemError,)),
    "cursor": Decoder(lambda raw: read_cursor(_text(raw)), (ProblemError,)),
    "position": Decoder(lambda raw: SEAL.read(_text(raw), USER_ID), (PositionError,)),
    "token": Decoder(lambda raw: KEY.check(_text(raw), NOW), (TokenError,)),
    "recurrence rule": Decoder(_rule, (ValueError,)),
    "webhook URL": Decoder(_url),
    "envelope": Decoder(_envelope, (PoisonError,)),
    "dead letter": Decoder(_dead_letter),
    "websocket frame": Decoder(
        lambda raw: CLIENT_FRAME.validate_python(codec.decode_strictly(raw)),
        (codec.MalformedError, ValidationError),
    ),
    "upgrade": Decoder(_upgrade),
}
