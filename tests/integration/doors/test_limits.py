"""What a stranger sends to a port has a limit at each door, and others are served meanwhile."""

import asyncio
import gzip
import resource
from itertools import repeat
from time import monotonic

import httpx
import psutil
import pytest

from api import protocol, requests
from streams.observability import health_port
from tests.integration.api.world import running_api
from tests.integration.doors.knocking import connected, crowding, knock, port_of
from tests.stack import Stack

GET = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /api/auth/login HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CROWD = 10_000
SECRET_PATH = b"/metrics"


async def ask(url: str) -> float:
    """Ask whether a process lives, over a connection of its own; give the seconds it took."""
    began = monotonic()
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        assert (await client.get(f"{url}/health/live")).status_code == 200
    return monotonic() - began


async def test_nothing_listens_but_the_one_port_that_each_process_was_given(doors: Stack) -> None:
    """Faust's own web server, which shows tables, is not among them."""
    for child in doors.children.values():
        process = psutil.Process(child.pid)
        listening = {
            (found.laddr.ip, found.laddr.port)
            for one in (process, *process.children(recursive=True))
            for found in one.net_connections()
            if found.status == psutil.CONN_LISTEN
        }
        assert listening == {("127.0.0.1", port_of(child))}, child.name


@pytest.mark.parametrize("name", ["relay", "audit"])
async def test_a_health_port_answers_health_and_metrics_and_nothing_else(
    doors: Stack, name: str
) -> None:
    url = doors.children[name].ready_url.removesuffix("/health/ready")
    async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert (await client.get(path)).status_code == 200
            refused = await client.post(path, content=b"x")
            assert (refused.status_code, refused.headers["Allow"]) == (405, "GET")
        for path in ("/", "/router", "/dash", "/stats", "/table/x", "/health", "/metrics/../x"):
            assert (await client.get(path)).status_code == 404
        assert (await client.request("POST", "/x")).status_code == 404


async def test_a_health_port_takes_no_long_head_and_no_rubbish(doors: Stack) -> None:
    port = port_of(doors.children["audit"])
    for long in (b"GET /" + b"x" * 9_000, b"GET / HTTP/1.1\r\nX: " + b"y" * 9_000):
        heard = await knock(port, [long])
        assert heard.statuses in ([431], [])  # a reset may overtake the answer to what is unread
        assert heard.seconds < health_port.EXCHANGE_S_MAX
    for rubbish in (b"\x16\x03\x01\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/2.0\r\n\r\n"):
        assert (await knock(port, [rubbish])).statuses == [400]


async def test_a_crowd_at_a_health_port_keeps_no_probe_out(doors: Stack) -> None:
    port = port_of(doors.children["audit"])
    async with crowding(port, 10 * health_port.CONNECTIONS_MAX, b"GET /"):
        assert await ask(f"http://127.0.0.1:{port}") < health_port.EXCHANGE_S_MAX


async def test_ten_thousand_idle_connections_keep_no_request_out(doors: Stack) -> None:
    """Those that wait the longest make room, so that neither files nor memory run out."""
    api = doors.children["api"]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    process = psutil.Process(api.pid)
    before = process.memory_info().rss
    try:
        async with crowding(doors.api_port, min(CROWD, hard - 1_000), b"GET /") as opened:
            times_s = sorted([await ask(doors.api_url) for _ in range(50)])
            held = len(process.net_connections())
            grown = process.memory_info().rss - before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    most = doors.settings.api_connections_max
    print(
        f"\n{opened} idle connections: {held} are held in {grown / 1e6:.0f} MB more"
        f" ({grown / max(held, 1) / 1024:.1f} KiB each); a request meanwhile takes"
        f" {times_s[25] * 1000:.0f} ms, at worst {times_s[-1] * 1000:.0f} ms"
    )
    assert held <= most + 20  # and those to the database
    assert grown < most * 65_536
    assert times_s[-1] < 5


async def test_a_body_without_an_end_is_refused_and_the_connection_closed(doors: Stack) -> None:
    chunk = b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    heard = await knock(doors.api_port, [CHUNKED, *repeat(chunk, 200)])
    assert heard.statuses in ([413], [])
    assert heard.seconds < requests.REST_S_MAX + 5


async def test_trailers_without_an_end_are_refused(doors: Stack) -> None:
    """They are header lines that no limit of a head counts."""
    parts = [CHUNKED, b"2\r\n{}\r\n0\r\n", *repeat(b"X-Trailer: y\r\n" * 100, 100)]
    heard = await knock(doors.api_port, parts)
    assert heard.statuses in ([400], [])  # a reset may overtake the answer to what is unread
    assert heard.seconds < 5


async def test_a_trailer_is_no_header(doors: Stack) -> None:
    """What comes behind the body has no say in what the request is."""
    sent = CHUNKED + b"2\r\n{}\r\n0\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    heard = await knock(doors.api_port, [sent, *repeat(b"\r\n", 1_000)], every_s=0.1)
    assert heard.statuses == [422]
    assert heard.seconds < 7


async def test_the_rest_of_a_body_that_nobody_reads_is_not_waited_for(doors: Stack) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"
    heard = await knock(doors.api_port, [head, *repeat(b"x", 1_000)], every_s=0.1)
    assert heard.statuses == [200]
    assert heard.seconds < protocol.UNREAD_S_MAX + 5


async def test_so_many_pipelined_requests_are_answered_and_no_more(doors: Stack) -> None:
    """Unread, each would take some KiB, and thousands fit into one read."""
    before = psutil.Process(doors.children["api"].pid).memory_info().rss
    heard = await knock(doors.api_port, [GET * 5_000])
    grown = psutil.Process(doors.children["api"].pid).memory_info().rss - before
    print(f"\n5,000 pipelined requests: {len(heard.statuses)} answers, {grown / 1e6:.1f} MB more")
    assert set(heard.statuses) == {200}
    assert 2 <= len(heard.statuses) <= protocol.PIPELINE_MAX + 2


async def test_rubbish_behind_a_request_is_not_taken_for_its_answer(doors: Stack) -> None:
    """The first is answered, and only then is the connection closed."""
    for rubbish in (b"\0\0\0\r\n\r\n", b"GET / HTTP/1.1\r\nbad header: x\r\n\r\n", b"hello\r\n"):
        heard = await knock(doors.api_port, [GET + rubbish])
        assert heard.statuses[0] == 200, heard.raw


async def test_a_compressed_body_is_refused_as_it_came(doors: Stack) -> None:
    bomb = gzip.compress(b'{"email":"' + b"x" * 60_000_000 + b'"}')
    async with httpx.AsyncClient(base_url=doors.api_url, trust_env=False) as client:
        for raw in (gzip.compress(b"{}"), bomb[:60_000]):
            answer = await client.post(
                "/api/auth/login", content=raw, headers={"Content-Encoding": "gzip"}
            )
            assert answer.status_code == 415
            assert answer.headers["Accept-Encoding"] == "identity"
        plain = {"Content-Encoding": "Identity"}
        answer = await client.post("/api/auth/login", content=b"{}", headers=plain)
        assert answer.status_code == 422


async def test_ranges_are_not_served_and_cost_nothing(doors: Stack) -> None:
    ranges = "bytes=" + ",".join(f"{n}-{n}" for n in range(8_000))
    async with httpx.AsyncClient(base_url=doors.api_url, trust_env=False) as client:
        answer = await client.get("/metrics", headers={"Range": ranges})
    assert answer.status_code == 200
    assert "Content-Range" not in answer.headers


SMUGGLED = b"GET " + SECRET_PATH + b" HTTP/1.1\r\nHost: x\r\n\r\n"
SMUGGLING = {
    "both lengths": b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "both, the other way": b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
    "a list of lengths": b"Content-Length: 0, 5\r\n\r\n",
    "a signed length": b"Content-Length: +0\r\n\r\n",
    "a hexadecimal length": b"Content-Length: 0x0\r\n\r\n",
    "a length too large": b"Content-Length: 99999999999999999999999\r\n\r\n",
    "an unknown coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked, and not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded line": b"Transfer-Encoding:\r\n chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "a bare line feed": b"X: y\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bare carriage return": b"X: y\rContent-Length: 0\r\n\r\n",
    "a chunk size that overflows": (
        b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n\r\n0\r\n\r\n"
    ),
    "a chunk size with a sign": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n0\r\n\r\n",
    "a chunk without its end": b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
async def test_a_request_of_unclear_length_is_refused_and_nothing_behind_it_is_read(
    doors: Stack, name: str
) -> None:
    """At the API and at the gateway: who would disagree with a proxy hears 400 and is cut."""
    for port, head in (
        (doors.api_port, POST),
        (doors.gateway_port, b"GET /health/live HTTP/1.1\r\nHost: x\r\n"),
    ):
        heard = await knock(port, [head + SMUGGLING[name] + SMUGGLED])
        assert b"taskflow_" not in heard.raw, name
        if port == doors.api_port:
            assert heard.statuses == [400], heard.raw[:300]
        else:
            assert len(heard.statuses) <= 1


@pytest.mark.parametrize(
    "head", [b"GET /" + b"x" * 20_000, b"GET /ws HTTP/1.1\r\n" + b"A: b\r\n" * 500]
)
async def test_the_gateway_takes_no_head_without_an_end(doors: Stack, head: bytes) -> None:
    heard = await knock(doors.gateway_port, [head])
    assert set(heard.statuses) <= {400, 414, 431}
    assert heard.seconds < 5


async def test_an_answer_that_is_not_taken_is_not_kept(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is its connection, however many requests its client puts behind it."""
    monkeypatch.setattr(protocol, "UNTAKEN_S_MAX", 0.3)
    async with running_api(database_url) as api:
        ada = await api.person()
        for number in range(30):
            await ada.create(title=str(number), description="x" * 10_000)
        list_all = (
            f"GET {ada.path('/tasks?limit=200')} HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {ada.token}\r\n\r\n"
        ).encode()
        async with connected(api.port) as (reader, writer):
            reader._limit = 1  # type: ignore[attr-defined] # take nothing from the socket
            writer.write(list_all * 40)
            async with asyncio.timeout(20):
                while not writer.transport.is_closing():
                    await asyncio.sleep(0.05)
                    writer.write(b"G")
        assert (await ada.ask("GET")).status_code == 200


@pytest.mark.long
async def test_who_sends_a_byte_at_a_time_is_cut_off_at_each_door(doors: Stack) -> None:
    """A head and a body, at the API, the gateway and a health port, at full length."""
    ports = {name: port_of(doors.children[name]) for name in ("api", "gateway", "audit")}
    head = [b"GET /health/live HTTP/1.1\r\nX: ", *repeat(b"y", 1_000)]
    body = [POST + b"Content-Length: 1000\r\n\r\n", *repeat(b" ", 1_000)]
    chunks = [CHUNKED, *repeat(b"1\r\n \r\n", 1_000)]
    names = ["api", "gateway", "audit", "api", "api"]
    heard = await asyncio.gather(
        *(knock(ports[name], head, every_s=0.5) for name in ("api", "gateway", "audit")),
        *(knock(ports["api"], parts, every_s=0.5) for parts in (body, chunks)),
    )
    limits_s = (protocol.HEAD_S_MAX, 5.0, health_port.EXCHANGE_S_MAX, *(requests.BODY_S_MAX,) * 2)
    for name, found, limit_s in zip(names, heard, limits_s, strict=True):
        print(f"{name}: cut off after {found.seconds:.1f} s with {found.statuses}")
        assert limit_s - 1 < found.seconds < limit_s + 5
