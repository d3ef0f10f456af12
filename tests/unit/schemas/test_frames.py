"""Frames and close codes of taskflow.v1."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schemas.frames import (
    CLIENT_FRAME,
    SERVER_FRAME,
    Auth,
    Close,
    ErrorFrame,
    EventFrame,
    Hello,
    Ping,
    Pong,
    Resumed,
    event_frame,
)
from tests.unit.schemas.samples import USER_ID, envelope_json

TOKEN = "a-token-that-nobody-may-see"


def test_a_client_sends_pings_and_tokens() -> None:
    assert CLIENT_FRAME.validate_python({"type": "ping"}) == Ping(type="ping")
    assert CLIENT_FRAME.validate_python({"type": "auth", "token": TOKEN, "position": "p"}) == Auth(
        type="auth", token=TOKEN, position="p"
    )


@pytest.mark.parametrize(
    "frame",
    [
        None,
        [],
        "ping",
        {},
        {"type": "pong"},
        {"type": ["ping"]},
        {"type": "ping", "id": 1},
        {"type": "auth"},
        {"type": "auth", "token": ""},
        {"type": "auth", "token": None},
        {"type": "auth", "token": "x" * 4_097},
        {"type": "auth", "token": TOKEN, "position": 5},
        {"type": "auth", "token": TOKEN, "position": "x" * 97},
        {"type": "auth", "token": TOKEN, "user": "x"},
        {"type": "auth", "token": [TOKEN]},
        {"type": "auth", "token": TOKEN * 200},
        {"type": "auth", "Token": TOKEN},
        {"type": "login", "token": TOKEN},
        {"token": TOKEN},
        [TOKEN],
        TOKEN,
    ],
)
def test_every_other_frame_of_a_client_is_refused_and_no_token_told(frame: object) -> None:
    with pytest.raises(ValidationError) as caught:
        CLIENT_FRAME.validate_python(frame)
    assert TOKEN not in str(caught.value)


def test_a_token_is_not_in_the_text_of_its_frame() -> None:
    assert TOKEN not in repr(Auth(type="auth", token=TOKEN))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=96))
def test_an_event_frame_is_written_as_it_is_read_and_its_event_stays_byte_for_byte(
    position: str,
) -> None:
    envelope = json.dumps(envelope_json(), indent=2).encode()
    frame = event_frame(position, envelope)
    assert envelope in frame
    read = SERVER_FRAME.validate_json(frame)
    assert isinstance(read, EventFrame)
    assert read.position == position
    assert str(read.event.id) == envelope_json()["id"]


@pytest.mark.parametrize(
    ("model", "frame"),
    [
        (
            Hello,
            {
                "type": "hello",
                "protocol": "taskflow.v1",
                "user_id": str(USER_ID),
                "position": "p",
                "heartbeat_s": 25,
            },
        ),
        (Resumed, {"type": "resumed", "recovered": False, "position": "p", "reason": "expired"}),
        (Resumed, {"type": "resumed", "recovered": True, "position": "p", "reason": None}),
        (Pong, {"type": "pong"}),
        (ErrorFrame, {"type": "error", "code": "c", "message": "m"}),
    ],
)
def test_the_gateways_frames_are_the_contracts(model: type, frame: dict[str, object]) -> None:
    read = SERVER_FRAME.validate_python(frame)
    assert type(read) is model
    assert read.model_dump(mode="json") == frame


def test_the_close_codes_are_the_contracts() -> None:
    assert {close.code: close.reason for close in Close} == {
        4000: "slow_consumer",
        4001: "shutting_down",
        4002: "token_expired",
        4003: "heartbeat_timeout",
        4004: "log_unavailable",
        4100: "unauthenticated",
        4101: "auth_timeout",
        4102: "bad_frame",
        4103: "frame_too_large",
        4104: "too_many_connections",
        4105: "rate_limited",
        4106: "revoked",
        4107: "forbidden_origin",
    }


@pytest.mark.parametrize("close", Close)
def test_a_client_comes_back_after_a_code_under_4100_and_the_reason_fits_a_frame(
    close: Close,
) -> None:
    assert close.comes_back is (close.code < 4_100)
    assert len(close.reason.encode()) <= 123  # RFC 6455, section 5.5
