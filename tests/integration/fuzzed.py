"""Bytes that a broken or hostile client may send, and what RFC 6455 and the contract say to them.

`judge` reads a stream by the rules, written down here a second time and without the library, so
that a fuzzed connection has one right end and not just any.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random

from schemas.frames import FRAME_BYTES_MAX
from tests.integration.gateway_world import PING
from tests.integration.raw_socket import (
    BINARY,
    CLOSE,
    CONT,
    PING_FRAME,
    PONG_FRAME,
    TEXT,
    close,
    fragments,
    framed,
    masked,
    text,
)

OPCODES = (CONT, TEXT, BINARY, CLOSE, PING_FRAME, PONG_FRAME)
CODES = (0, 999, 1000, 1001, 1004, 1005, 1006, 1009, 1015, 1016, 2999, 3000, 4102, 5000, 65_535)
BAD_TEXT = (b"", b"{", b"[]", b"\xff", b"\xed\xa0\x80", b'{"type":"auth","token":"x"}', b"\x00")


class EndError(Exception):
    """The gateway must close with this code, as soon as it has read so far."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Verdict:
    """What a stream should come to.

    A bad message is found when it is taken from its queue, and a bad frame at once, also if it came
    after it: so there may be two codes that are right. Without any the connection lives on.
    """

    codes: set[int] = field(default_factory=set)
    pings: list[bytes] = field(default_factory=list)
    asked: int = 0
    """Messages that a pong frame of ours answers."""
    frames: int = 0
    """Frames that were read, the bad one too."""
    torn: bool = False
    """Whether the stream ends within a frame."""
    message: bytes | None = None
    _opcode: int = TEXT

    def take(self, first: int, payload: bytes) -> None:
        """Take a frame that has come whole."""
        opcode, fin = first & 0x0F, bool(first & 0x80)
        if first & 0x70 or (opcode >= CLOSE and (len(payload) > 125 or not fin)):
            raise EndError(1002)
        match opcode:
            case 0x8:
                raise EndError(code_of(payload))
            case 0x9:
                self.pings.append(payload)
            case 0x0 | 0x1 | 0x2:
                self._take_data(opcode, payload, fin=fin)

    def _take_data(self, opcode: int, payload: bytes, *, fin: bool) -> None:
        if (opcode == CONT) != (self.message is not None):
            raise EndError(1002)
        self._opcode = opcode or self._opcode
        self.message = (self.message or b"") + payload
        if len(self.message) > FRAME_BYTES_MAX:
            raise EndError(4103)
        if fin:
            self._take_message(self.message)
            self.message = None

    def _take_message(self, message: bytes) -> None:
        if self.codes:
            return
        if self._opcode == BINARY:
            self.codes.add(4102)
            return
        try:
            decoded = message.decode()
        except UnicodeDecodeError:
            self.codes.add(1007)
            return
        frame: object = None
        with suppress(ValueError):
            frame = json.loads(decoded)
        if frame == {"type": "ping"}:
            self.asked += 1
        else:
            known = isinstance(frame, dict) and frame.get("type") == "auth" and len(frame) == 2
            self.codes.add(4100 if known else 4102)


def code_of(payload: bytes) -> int:
    """Give the code that a close frame is answered with (section 7.4)."""
    if len(payload) < 2:
        return 1002 if payload else 1005
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return 1007
    code = int.from_bytes(payload[:2], "big")
    registered = 1000 <= code <= 1014 and code not in {1004, 1005, 1006}
    return code if registered or 3000 <= code <= 4999 else 1002


def judge(stream: bytes) -> Verdict:
    """Read a stream to its end, or to the frame after which nothing is read."""
    verdict = Verdict()
    try:
        for first, payload in frames_of(stream):
            verdict.frames += 1
            if payload is None:
                verdict.torn = True
            else:
                verdict.take(first, payload)
    except EndError as end:
        verdict.frames += not verdict.frames
        verdict.codes.add(end.code)
    return verdict


def frames_of(stream: bytes) -> Iterator[tuple[int, bytes | None]]:
    """Cut a stream into frames: the first byte and the payload, None if it has not all come."""
    at = 0
    while at < len(stream):
        head = stream[at : at + 14]
        if len(head) < 2:
            yield 0, None
            return
        if head[0] & 0x0F not in OPCODES or not head[1] & 0x80:
            raise EndError(1002)
        width = {126: 2, 127: 8}.get(head[1] & 0x7F, 0)
        if len(head) < 2 + width:
            yield 0, None
            return
        size = int.from_bytes(head[2 : 2 + width], "big") if width else head[1] & 0x7F
        if size > FRAME_BYTES_MAX:
            raise EndError(4103)
        begin = at + 2 + width + 4
        at = begin + size
        if at > len(stream):
            yield 0, None
            return
        yield head[0], masked(stream[begin:at], stream[begin - 4 : begin])


def good(random: Random) -> Sequence[bytes]:
    """Make some frames that keep the rules, and leave no message unfinished."""
    ask = PING.ljust(random.choice((15, 15, 125, 126, 300, random.randint(15, FRAME_BYTES_MAX))))
    control = framed(
        random.choice((PING_FRAME, PONG_FRAME)), random.randbytes(random.randint(0, 125))
    )
    match random.randrange(5):
        case 0:
            return [framed(TEXT, ask.encode(), mask=random.randbytes(4))]
        case 1:
            return [control]
        case 2:
            return [framed(TEXT, PING.encode(), width=random.choice((2, 8)))]
        case _:
            cuts = sorted(random.randint(0, 15) for _ in range(random.randint(1, 5)))
            parts = [PING[a:b].encode() for a, b in zip([0, *cuts], [*cuts, 15], strict=True)]
            sent = [
                framed(CONT if n else TEXT, part, fin=n == len(cuts))
                for n, part in enumerate(parts)
            ]
            sent.insert(random.randint(0, len(sent)), control)
            return sent


def noise(random: Random) -> bytes:
    return random.randbytes(random.randint(1, 60))


def any_header(random: Random) -> bytes:
    return framed(
        random.randrange(16),
        random.randbytes(random.randint(0, 200)),
        fin=random.random() < 0.7,
        rsv=random.choice((0, 0, 0, random.randrange(8))),
        mask=random.choice((b"\0\0\0\0", b"abcd", b"abcd", None)),
    )


def any_length(random: Random) -> bytes:
    width = random.choice((0, 2, 8))
    declared = random.getrandbits({0: 6, 2: 16, 8: random.randint(1, 64)}[width])
    payload = random.randbytes(random.randint(0, 300))
    return framed(random.choice(OPCODES), payload, declared=declared, width=width)


def changed(random: Random) -> bytes:
    """Give a good frame with a bit turned, a byte lost, a byte too many, or a piece twice."""
    whole = bytearray(b"".join(good(random)))
    at = random.randrange(len(whole))
    match random.randrange(4):
        case 0:
            whole[at] ^= 1 << random.randrange(8)
        case 1:
            del whole[at]
        case 2:
            whole.insert(at, random.randrange(256))
        case _:
            whole[at:at] = whole[:at]
    return bytes(whole)


def bad_message(random: Random) -> bytes:
    payload = random.choice((*BAD_TEXT, noise(random)))
    cut = random.randint(0, len(payload))
    opcode = random.choice((TEXT, TEXT, BINARY))
    return fragments(payload[:cut], payload[cut:], opcode=opcode)


def bad_order(random: Random) -> bytes:
    begun = framed(random.choice((CONT, TEXT, BINARY)), PING.encode()[:7], fin=False)
    return begun * random.randint(1, 2) + random.choice((text(PING), framed(CONT), close(1000)))


def bad_size(random: Random) -> bytes:
    size = random.choice((8_192, 8_193, FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1))
    return fragments(PING.ljust(size).encode(), b" " * random.choice((0, 8_191, 8_192)))


def any_close(random: Random) -> bytes:
    payload = random.choice(CODES).to_bytes(2, "big") + random.choice((b"", b"why", b"\xff"))
    return framed(CLOSE, payload[: random.choice((0, 1, 2, 9))])


BAD: Sequence[Callable[[Random], bytes]] = (
    noise,
    any_header,
    any_length,
    changed,
    changed,
    bad_message,
    bad_order,
    bad_size,
    any_close,
)


def stream(random: Random) -> bytes:
    """Make all that one client sends: mostly good frames, then some that most likely are not."""
    sent = [b"".join(good(random)) for _ in range(random.randint(0, 12))]
    sent += [random.choice(BAD)(random) for _ in range(random.choice((0, 1, 1, 1, 3)))]
    sent += [b"".join(good(random)) for _ in range(random.choice((0, 0, 1, 3)))]
    return b"".join(sent) or noise(random)


def pieces(random: Random, whole: bytes) -> Sequence[bytes]:
    """Cut a stream for so many writes: one, a few, or one for each byte."""
    count = random.choice((0, 0, 1, 5, 20, len(whole) if len(whole) < 300 else 3))
    cuts = sorted(random.randint(0, len(whole)) for _ in range(count))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
