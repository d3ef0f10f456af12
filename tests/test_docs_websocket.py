"""docs/websocket.md is true: its tables, examples and client are checked against the gateway."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID, uuid4

import pytest
from prometheus_client import REGISTRY
from pydantic import BaseModel
from websockets.exceptions import ConnectionClosed

from gateway.limits import Limits
from gateway.routes import UPGRADE_REFUSALS
from gateway.search import Reason
from gateway.server import limits_of
from schemas.events import EVENTS, SESSION_REVOKED
from schemas.frames import (
    CLIENT_FRAME,
    FRAME_BYTES_MAX,
    PROTOCOL,
    SERVER_FRAME,
    TYPES_MAX,
    Auth,
    Close,
    ErrorFrame,
    EventFrame,
    Hello,
    Ping,
    Pong,
    Resumed,
)
from schemas.ids import new_id
from schemas.positions import POSITION_CHARS
from schemas.settings import Settings
from schemas.tokens import TOKEN_CHARS_MAX
from tests.integration.gateway_world import (
    Frame,
    World,
    settings_of_a_test,
    token,
    until,
    world,
)

PAGE = Path("docs/websocket.md").read_text()
INTERNAL = {
    "sieve_records",
    "warm_s",
    "recent_bytes_max",
    "indexed_events_max",
    "indexed_records_max",
    "revocations_max",
    "searches_at_a_time",
    "read_records_max",
    "read_timeout_s",
    "retry_s_min",
    "retry_s_max",
}
"""Fields of Limits that no client can meet; every other one has a row on the page."""


def blocks(language: str) -> Sequence[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def rows(first: str) -> Sequence[Sequence[str]]:
    """Give the cells of the table rows whose first cell looks so."""
    lines = re.findall(rf"^\| (?:{first}) .*\|$", PAGE, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def frames() -> Sequence[Frame]:
    return [json.loads(block) for block in blocks("json")]


def test_every_close_code_has_its_row_and_no_other_has() -> None:
    shown = [(int(code), name, back) for code, name, back, _ in rows(r"4\d{3}")]
    assert shown == [(c.code, c.reason, "yes" if c.comes_back else "no") for c in Close]


def test_every_refusal_before_the_upgrade_has_its_row() -> None:
    shown = {int(status): reason.strip("`") for status, reason, _ in rows(r"[45]\d\d")}
    assert shown == UPGRADE_REFUSALS


def test_every_reason_not_to_recover_has_its_row() -> None:
    assert [name for name, why in rows("`[a-z_]+`")[:3] if why] == [f"`{r.value}`" for r in Reason]


@pytest.mark.parametrize("frame", frames(), ids=lambda frame: frame["type"])
def test_every_example_is_a_frame_of_its_model(frame: Frame) -> None:
    if frame["type"] in {"auth", "ping"}:
        CLIENT_FRAME.validate_python(frame)
    else:
        SERVER_FRAME.validate_python(frame)
    if "event" in frame:
        EVENTS[frame["event"]["type"]].model_validate(frame["event"])
    if "position" in frame:
        assert len(frame["position"]) == POSITION_CHARS


@pytest.mark.parametrize("model", [Hello, EventFrame, Resumed, Pong, ErrorFrame, Auth, Ping])
def test_every_frame_is_shown_with_all_its_fields(model: type[BaseModel]) -> None:
    (name,) = model.model_json_schema()["properties"]["type"].get("enum") or [
        model.model_json_schema()["properties"]["type"]["const"]
    ]
    shown = {key for frame in frames() if frame["type"] == name for key in frame}
    assert shown == set(model.model_fields)
    assert f"`{name}`" in PAGE


def test_every_limit_that_a_client_can_meet_has_its_row_with_its_default() -> None:
    limits = {field.name: getattr(Limits(), field.name) for field in fields(Limits)}
    expected = {name: value for name, value in limits.items() if name not in INTERNAL} | {
        "FRAME_BYTES_MAX": FRAME_BYTES_MAX,
        "TOKEN_CHARS_MAX": TOKEN_CHARS_MAX,
        "TYPES_MAX": TYPES_MAX,
    }
    shown = {
        limit.partition(":")[0].strip("`"): float(default.replace(",", ""))
        for limit, default, _, _ in rows("`[A-Za-z_]+`: .*?")
    }
    assert shown == expected
    assert set(limits) >= INTERNAL


def test_every_setting_of_a_limit_turns_it() -> None:
    for limit, _, _, setting in rows("`[A-Za-z_]+`: .*?"):
        if setting:
            limits = limits_of(settings_of_a_test(**{setting.strip("`").lower(): 7}))
            assert getattr(limits, limit.partition(":")[0].strip("`")) == 7


def test_every_setting_of_the_gateway_is_shown_with_its_default() -> None:
    own = {"cors_origins", "trusted_proxies", "jwt_secret"}
    shown = {
        name: default
        for names, defaults, _ in rows("`[A-Z_]+`(?:, `[A-Z_]+`)?")
        for name, default in zip(names.split(", "), defaults.split(", "), strict=True)
    }
    assert shown == {
        f"`{name.upper()}`": str(field.default).lower()
        if field.default not in {(), None}
        else "none"
        for name, field in Settings.model_fields.items()
        if name in own or name.startswith(("websocket", "gateway_"))
    }


def test_every_metric_of_the_gateway_is_named() -> None:
    names = {metric.name for metric in REGISTRY.collect()}
    own = {name for name in names if name.startswith("taskflow_gateway_")}
    assert len(own) > 5
    assert not {name for name in own if f"`{name}" not in PAGE}


def test_the_ways_to_connect_are_those_of_the_protocol() -> None:
    assert f"Sec-WebSocket-Protocol: {PROTOCOL}, bearer.<token>" in PAGE
    assert "Authorization: Bearer <token>" in PAGE
    assert PROTOCOL in blocks("js")[0]


class Follow(Protocol):
    def __call__(
        self,
        url: str,
        fresh_token: Callable[[], Awaitable[str]],
        load: Callable[[], Awaitable[None]],
        apply: Callable[[Frame], Awaitable[None]],
        wait_s_max: float = 5,
    ) -> Awaitable[None]: ...


def example() -> Follow:
    """Give the function of the page's example."""
    (code,) = blocks("python")
    names: dict[str, Any] = {}  # what code of a page defines is known to the page alone
    exec(compile(code, "docs/websocket.md", "exec"), names)  # noqa: S102 (the example is ours)
    found: Follow = names["follow"]
    return found


class Person:
    """What the example is given, and what it does with it."""

    def __init__(self, user: UUID, session: UUID | None = None) -> None:
        self.user, self.session = user, session or uuid4()
        self.loads, self.ids = 0, list[str]()

    async def fresh_token(self) -> str:
        return token(self.user, session=self.session)

    async def load(self) -> None:
        self.loads += 1

    async def apply(self, event: Frame) -> None:
        self.ids.append(event["id"])

    def follow(self, here: World) -> "asyncio.Future[None]":
        url = f"ws://127.0.0.1:{here.running.port}/ws"
        follow = example()
        return asyncio.ensure_future(follow(url, self.fresh_token, self.load, self.apply, 0.02))


async def test_the_example_gets_every_event_once_through_connections_that_end() -> None:
    person = Person(uuid4())
    async with world() as here:
        hub, sent = here.running.gateway.hub, list[str]()
        following = person.follow(here)
        await until(lambda: person.loads == 1)
        for close in (None, Close.LOG_UNAVAILABLE, Close.TOKEN_EXPIRED, None):
            if close:
                hub.end_all(close)
            for _ in range(3):
                event_id = new_id()
                sent.append(str(event_id))
                await here.publish(person.user, event_id)
            await until(lambda: person.ids == sent)
        assert person.loads == 1
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


async def test_the_example_does_not_come_back_when_its_session_is_revoked() -> None:
    person = Person(uuid4())
    async with world() as here:
        following = person.follow(here)
        await until(lambda: person.loads == 1)
        await here.publish(person.user, type_=SESSION_REVOKED, subject=person.session)
        with pytest.raises(ConnectionClosed) as raised:
            await following
    assert raised.value.rcvd
    assert raised.value.rcvd.code == Close.REVOKED.code


async def test_the_example_loads_afresh_when_its_position_is_of_another_log() -> None:
    person = Person(uuid4())
    async with world() as here:
        following = person.follow(here)
        await until(lambda: person.loads == 1)
        await here.publish(person.user)
        await until(lambda: len(person.ids) == 1)
        port = here.running.port
    async with world(gateway_port=port) as here:
        await until(lambda: person.loads == 2)
        await here.publish(person.user)
        await until(lambda: len(person.ids) == 2)
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following
