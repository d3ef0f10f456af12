"""RFC 6455, framing: the cases 1 to 4 and 9 of the Autobahn testsuite that need no echo.

A script is played twice: what it sends is written at once, and in pieces, so that frames are torn.
"""

import pytest

from gateway.limits import Limits
from schemas.frames import FRAME_BYTES_MAX
from tests.integration.gateway_world import PING
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
    fragments,
    framed,
    greeted,
    play_whole_and_torn,
    text,
    unharmed,
)

ASK = PING.encode()
GOOD: Script = (text(PING), PONG_TEXT)
ODD = b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff"


def ping(payload: bytes = b"") -> bytes:
    return framed(PING_FRAME, payload)


def pong(payload: bytes = b"") -> Frame:
    return Frame(PONG_FRAME, payload)


SIZES = (125, 126, 127, 128, 255, 256, 1_024, 16_383, FRAME_BYTES_MAX)
LENGTHS: dict[str, Script] = {
    "a text of no bytes is no frame of ours": (text(""), 4102),
    **{f"a text of {n} bytes": (text(PING.ljust(n)), PONG_TEXT) for n in SIZES},
    **{f"a binary of {n} bytes": (framed(BINARY, bytes(n)), 4102) for n in (0, 1, *SIZES)},
    "a length on 2 bytes that needs 1": (framed(TEXT, ASK, width=2), PONG_TEXT),
    "a length on 8 bytes that needs 1": (framed(TEXT, ASK, width=8), PONG_TEXT),
    "a mask of zeros": (framed(TEXT, ASK, mask=bytes(4)), PONG_TEXT),
    **{
        f"a text of {n} bytes is too large": (text(PING.ljust(n)), 4103)
        for n in (FRAME_BYTES_MAX + 1, 65_535, 65_536, 262_144)
    },
    **{
        f"a text that claims {n:x} bytes": (framed(TEXT, declared=n), 4103)
        for n in (65_535, 1 << 20, 1 << 31, (1 << 63) - 1, 1 << 63, (1 << 64) - 1)
    },
    "a binary that claims 2^62 bytes": (framed(BINARY, declared=1 << 62), 4103),
    "a ping that claims 2^62 bytes": (framed(PING_FRAME, declared=1 << 62), 4103),
}
PINGS: dict[str, Script] = {
    "a ping of no bytes": (ping(), pong()),
    "a ping of text": (ping(b"Hello, world!"), pong(b"Hello, world!")),
    "a ping of bytes": (ping(ODD), pong(ODD)),
    "a ping of 125 bytes": (ping(b"\xfe" * 125), pong(b"\xfe" * 125)),
    "a ping of 126 bytes": (ping(b"\xfe" * 126), 1002),
    "a ping of 16 KiB": (ping(bytes(FRAME_BYTES_MAX)), 1002),
    "a pong of no bytes": (framed(PONG_FRAME),),
    "a pong of bytes": (framed(PONG_FRAME, ODD),),
    "a pong of 126 bytes": (framed(PONG_FRAME, bytes(126)), 1002),
    "a pong, then a ping": (framed(PONG_FRAME, b"unasked"), ping(b"asked"), pong(b"asked")),
    "ten pings": (
        *(ping(b"%d" % n) for n in range(10)),
        *(pong(b"%d" % n) for n in range(10)),
    ),
}
MASKING: dict[str, Script] = {
    "an unmasked text": (framed(TEXT, ASK, mask=None), 1002),
    "an unmasked text of no bytes": (framed(TEXT, mask=None), 1002),
    "an unmasked ping": (framed(PING_FRAME, mask=None), 1002),
    "an unmasked close": (framed(CLOSE, mask=None), 1002),
    "an unmasked text after a masked one": (*GOOD, framed(TEXT, ASK, mask=None), 1002),
    "an unmasked last fragment": (
        framed(TEXT, ASK[:5], fin=False),
        framed(CONT, ASK[5:], mask=None),
        1002,
    ),
}
RESERVED: dict[str, Script] = {
    **{f"a text with rsv {n:03b}": (framed(TEXT, ASK, rsv=n), 1002) for n in range(1, 8)},
    **{f"a ping with rsv {n:03b}": (framed(PING_FRAME, rsv=n), 1002) for n in range(1, 8)},
    **{f"a binary with rsv {n:03b}": (framed(BINARY, ODD, rsv=n), 1002) for n in range(1, 8)},
    **{f"a close with rsv {n:03b}": (framed(CLOSE, rsv=n), 1002) for n in range(1, 8)},
    "a good text, then one with rsv": (*GOOD, framed(TEXT, ASK, rsv=4), ping(), 1002),
    "a last fragment with rsv": (
        framed(TEXT, ASK[:5], fin=False),
        framed(CONT, ASK[5:], rsv=2),
        1002,
    ),
    **{f"opcode {n}": (framed(n), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    **{f"opcode {n} with bytes": (framed(n, ODD), 1002) for n in (3, 4, 5, 6, 7, 11, 12, 15)},
    **{f"opcode {n} in fragments": (framed(n, ODD, fin=False), 1002) for n in (3, 7, 11, 15)},
    "a good text, then opcode 5": (*GOOD, framed(5, ODD), ping(), 1002),
    "a good text, then opcode 12": (*GOOD, framed(12, ODD), ping(), 1002),
}
MESSAGES: dict[str, Script] = {
    f"16 KiB in fragments of {n}": (
        fragments(
            *(PING.ljust(FRAME_BYTES_MAX)[at : at + n].encode() for at in range(0, 16_384, n))
        ),
        PONG_TEXT,
    )
    for n in (64, 256, 1_024, 4_096)
} | {
    "16 KiB and a byte in two fragments": (fragments(ASK.ljust(FRAME_BYTES_MAX), b" "), 4103),
    "16 KiB, a fragment of none, and the end": (
        fragments(ASK.ljust(FRAME_BYTES_MAX), b"", b""),
        PONG_TEXT,
    ),
    "a binary of 16 KiB and a byte in fragments": (
        fragments(*(bytes(1_024) for _ in range(16)), b" ", opcode=BINARY),
        4103,
    ),
    "fragments without end": (fragments(*(bytes(8_000) for _ in range(100))), 4103),
    "a ping where a message is full": (
        framed(TEXT, ASK.ljust(FRAME_BYTES_MAX), fin=False),
        ping(b"still there?"),
        pong(b"still there?"),
        framed(CONT),
        PONG_TEXT,
    ),
}
ROWS = LENGTHS | PINGS | MASKING | RESERVED | MESSAGES


@pytest.mark.parametrize("script", [pytest.param(row, id=name) for name, row in ROWS.items()])
async def test_each_frame_has_its_answer_or_its_close_code(
    script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    await play_whole_and_torn(script, caplog)


@pytest.mark.parametrize(
    "flood",
    [framed(CONT, fin=False), framed(PONG_FRAME), framed(PING_FRAME)],
    ids=["fragments", "pongs", "pings"],
)
async def test_a_flood_of_frames_that_are_no_messages_is_closed_too(
    flood: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(caplog, Limits()) as here, greeted(here) as peer:
        await peer.send(framed(TEXT, fin=False) + flood * 60)
        while (got := await peer.frame()) and got.opcode == PONG_FRAME:
            pass
        assert got == Frame(CLOSE, (4105).to_bytes(2, "big") + b"rate_limited")
