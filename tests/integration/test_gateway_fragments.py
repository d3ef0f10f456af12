"""RFC 6455, fragments and UTF-8: the cases 5 and 6 of the Autobahn testsuite that need no echo.

A text reaches the session in a re-authentication, whose position may be any text.
"""

import json
from uuid import UUID

import pytest

from tests.integration.gateway_world import PING, token
from tests.integration.raw_socket import (
    BINARY,
    CLOSE,
    CONT,
    PING_FRAME,
    PONG_FRAME,
    PONG_TEXT,
    TEXT,
    Frame,
    Script,
    close,
    fragments,
    framed,
    greeted,
    play_whole_and_torn,
    text,
    unharmed,
)

ASK = PING.encode()
HALF, REST = framed(TEXT, ASK[:7], fin=False), framed(CONT, ASK[7:])
PINGED, PONGED = framed(PING_FRAME, b"between"), Frame(PONG_FRAME, b"between")
USER = UUID("018f0000-0000-7000-8000-000000000002")

CONTROL: dict[str, Script] = {
    "a fragmented ping": (framed(PING_FRAME, fin=False), framed(CONT), 1002),
    "a fragmented pong": (framed(PONG_FRAME, fin=False), framed(CONT), 1002),
    "a fragmented close": (framed(CLOSE, fin=False), framed(CONT), 1002),
    "a ping between fragments": (HALF, PINGED, REST, PONGED, PONG_TEXT),
    "a ping before the message ends": (HALF, PINGED, PONGED, REST, PONG_TEXT),
    "a pong between fragments": (HALF, framed(PONG_FRAME, b"!"), REST, PONG_TEXT),
    "a ping of 126 bytes between fragments": (HALF, framed(PING_FRAME, bytes(126)), 1002),
    "a close between fragments": (HALF, close(1000), REST, 1000),
    "a close with a bad code between fragments": (HALF, close(999), 1002),
    "pings between all fragments": (
        framed(TEXT, fin=False),
        *(step for byte in ASK for step in (framed(CONT, bytes([byte]), fin=False), PINGED)),
        framed(CONT),
        *(PONGED for _ in ASK),
        PONG_TEXT,
    ),
}
ORDER: dict[str, Script] = {
    "two fragments": (HALF, REST, PONG_TEXT),
    "a fragment for each byte": (fragments(*(bytes([byte]) for byte in ASK)), PONG_TEXT),
    "empty fragments around": (fragments(b"", ASK, b""), PONG_TEXT),
    "nothing but empty fragments": (fragments(b"", b"", b""), 4102),
    "two fragmented messages": (HALF, REST, HALF, REST, PONG_TEXT, PONG_TEXT),
    "a binary message of fragments": (fragments(b"\xff", b"\xfe", opcode=BINARY), 4102),
    "a last fragment of nothing": (framed(CONT, ASK), 1002),
    "a fragment of nothing": (framed(CONT, ASK, fin=False), 1002),
    "an empty fragment of nothing": (framed(CONT, fin=False), 1002),
    "a last fragment after a whole message": (text(PING), PONG_TEXT, REST, 1002),
    "a last fragment too many": (HALF, REST, PONG_TEXT, REST, 1002),
    "a text within a message": (HALF, text(PING), 1002),
    "a binary within a message": (HALF, framed(BINARY, ASK), 1002),
    "a text that begins within a message": (HALF, HALF, 1002),
    "an unknown opcode within a message": (HALF, framed(3), 1002),
}


def again(position: str) -> bytes:
    frame = {"type": "auth", "token": token(USER), "position": position}
    return json.dumps(frame, ensure_ascii=False).encode()


def singly(payload: bytes) -> bytes:
    return fragments(*(bytes([byte]) for byte in payload))


VALID = {
    "greek": "κόσμε",
    "latin": "Hello-µ@ßöäüàá-UTF-8!!",
    "the first of 2 bytes": "\x80",
    "the last of 2 bytes": "\u07ff",
    "the first of 3 bytes": "\u0800",
    "the last of 3 bytes": "\uffff",
    "the first of 4 bytes": "\U00010000",
    "the last of 4 bytes": "\U0010ffff",
    "the last before the surrogates": "\ud7ff",
    "the first after the surrogates": "\ue000",
    "the replacement": "\ufffd",
    "no character": "\ufffe",
    "no character of a plane": "\U0001fffe",
    "delete": "\x7f",
}
INVALID = {
    "a continuation alone": b"\x80",
    "the last continuation alone": b"\xbf",
    "continuations alone": b"\x80\xbf\x80\xbf",
    "2 bytes without the second": b"\xc3",
    "2 bytes and a space": b"\xc3 ",
    "3 bytes without the third": b"\xe1\x80",
    "4 bytes without the fourth": b"\xf1\x80\x80",
    "a slash in 2 bytes": b"\xc0\xaf",
    "a slash in 3 bytes": b"\xe0\x80\xaf",
    "a slash in 4 bytes": b"\xf0\x80\x80\xaf",
    "a NUL in 2 bytes": b"\xc0\x80",
    "U+7F in 2 bytes": b"\xc1\xbf",
    "U+7FF in 3 bytes": b"\xe0\x9f\xbf",
    "U+FFFF in 4 bytes": b"\xf0\x8f\xbf\xbf",
    "5 bytes": b"\xf8\x88\x80\x80\x80",
    "6 bytes": b"\xfc\x84\x80\x80\x80\x80",
    "U+110000": b"\xf4\x90\x80\x80",
    "U+D800": b"\xed\xa0\x80",
    "U+DFFF": b"\xed\xbf\xbf",
    "a pair of surrogates": b"\xed\xa0\x80\xed\xb0\x80",
    "FE": b"\xfe",
    "FF": b"\xff",
    "FE FE FF FF": b"\xfe\xfe\xff\xff",
    "greek, and then a surrogate": "κόσμε".encode() + b"\xed\xa0\x80edited",
}
UTF_8: dict[str, Script] = {
    **{f"valid: {name}": (text(again(sent)),) for name, sent in VALID.items()},
    **{f"valid byte by byte: {name}": (singly(again(sent)),) for name, sent in VALID.items()},
    **{f"invalid: {name}": (text(sent), 1007) for name, sent in INVALID.items()},
    **{f"invalid byte by byte: {name}": (singly(sent), 1007) for name, sent in INVALID.items()},
    "invalid in a frame of ours": (text(ASK[:-1] + b"\xff}"), 1007),
    "invalid in a binary message": (framed(BINARY, b"\xff"), 4102),
    "invalid in the first of two fragments": (fragments(b"\xce\xba\xed\xa0\x80", b"edited"), 1007),
    "a mark of the byte order": (text(b"\xef\xbb\xbf" + ASK), 4102),
    "a NUL": (text(b"\x00"), 4102),
}
ROWS = CONTROL | ORDER | UTF_8


@pytest.mark.parametrize("script", [pytest.param(row, id=name) for name, row in ROWS.items()])
async def test_fragments_and_text_have_their_answer_or_their_close_code(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    await play_whole_and_torn(script, caplog, USER)


async def test_a_text_may_be_split_anywhere(caplog: pytest.LogCaptureFixture) -> None:
    """Also within a character: the message is read when it is whole."""
    async with unharmed(caplog) as here, greeted(here, USER) as peer:
        whole = again("µ€𝄞")
        begin = whole.index("µ".encode())
        for at in range(begin, begin + len("µ€𝄞".encode()) + 1):
            await peer.send(fragments(whole[:at], whole[at:]))
        await peer.lives()
