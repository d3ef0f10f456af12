"""What fuzzing begins with: good inputs of each kind, and pieces that break things."""

import json
from collections.abc import Mapping, Sequence
from uuid import uuid5

from hypothesis import strategies as st

from api.answers import write_cursor
from schemas.positions import Position
from tests.fuzzing.doors import KEY, NOW, SEAL
from tests.integration.effects.effects_world import envelope
from tests.unit.schemas.samples import EVENT_ID, TASK_ID, USER_ID, change_json

TOKEN = KEY.issue(USER_ID, uuid5(USER_ID, "session"), NOW).encode()
TASK = {"title": "Pay rent", "due_date": "2027-01-31", "tags": ["home"], "recurrence_interval": 1}
REGISTER = {"email": "ada@example.org", "password": "correct horse battery", "timezone": "UTC"}

PIECES: Sequence[bytes] = (
    *(b"\0", b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b"\xff", b"\xef\xbb\xbf", b"\r\n", b"%00"),
    *(b"[" * 1_000, b"[" * 30_000, b'{"a":' * 2_000, b"9" * 400, b"9" * 5_000, b"1e999", b"NaN"),
    *(b"-0", b"1.0", b"18446744073709551616", b'"title":1,', b'"title":"x","title":"y"'),
    *(b"a" * 65_536, b" " * 20_000, b"," * 5_000, b";" * 5_000, b"&" * 5_000, b"=" * 100),
    *(b"%" * 3_000, b"@" * 3_000, b"." * 3_000, b'"' * 999, b"\\" * 999, b"W/" * 999, b"*"),
    *("\u202e\u0130\U0001f600".encode(), "\u0661\u0662".encode(), b"../..", b"::ffff:127.0.0.1"),
    *(
        b"http://[::1",
        b"//user:pw@host",
        b"xn--a",
        b"0x7f.1",
        b"127.1",
        b"#",
        b"bearer.",
        b"Bearer ",
    ),
    *(b"BYDAY=-5MO", b"COUNT=0", b"UNTIL=99991231", b"BYSETPOS=366", b"EXDATE=20270229"),
    *(b"BYMONTH=2;BYMONTHDAY=30", b"BYMONTH=2;BYMONTHDAY=29;BYDAY=MO"),
)
CORPUS: Mapping[str, Sequence[bytes]] = {
    "JSON, ours": (json.dumps(TASK).encode(), b"[1,2.5,null,true]", b'"\\u00e9"'),
    "JSON, strict": (json.dumps(TASK).encode(), b'{"a":{"b":[{}]}}', b"[0.1e-5]"),
    "HTTP body": (json.dumps(TASK).encode(), json.dumps(REGISTER).encode()),
    "query string": (b"limit=50&cursor=abc&q=x", b"q=%F0%9F%98%80&limit=200", b"limit=1"),
    "header": (b"application/json; charset=utf-8", b"203.0.113.7, 10.0.0.1", b"identity", b"17"),
    "If-Match": (b'"1"', b'W/"1"', b'"1", "2"', b"*"),
    "cursor": (write_cursor(NOW, TASK_ID).encode(),),
    "position": (SEAL.write(Position(0, 1), USER_ID).encode(),),
    "token": (TOKEN,),
    "recurrence rule": (b"BYDAY=MO,-1FR;COUNT=10", b"BYMONTHDAY=31,-1;BYSETPOS=1", b"BYMONTH=2"),
    "webhook URL": (
        b"https://example.org/hook?x=1",
        b"http://127.0.0.1:8080/",
        b"https://[::1]/",
        b"https://[::1]@@@",
    ),
    "envelope": (envelope(change_json(), id=str(EVENT_ID), partitionkey=str(USER_ID)),),
    "dead letter": (b"audit", b"12", envelope(change_json(), id=str(EVENT_ID))),
    "websocket frame": (b'{"type":"ping"}', b'{"type":"auth","token":"' + TOKEN + b'"}'),
    "upgrade": (b"Bearer " + TOKEN, b"taskflow.v1, bearer." + TOKEN, b"https://a", b"types=a.*"),
}


@st.composite
def inputs(draw: st.DrawFn, kind: str) -> bytes:
    """Make an input: mostly a good one that was spoiled a few times, else just anything."""
    whole = draw(st.one_of(st.sampled_from(CORPUS[kind]), st.binary(max_size=80)))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(whole)))
        until = draw(st.integers(at, min(len(whole), at + 8)))
        piece = draw(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6), st.just(whole[:at])))
        whole = (whole[:at] + piece + whole[until:])[:131_072]
    return whole
