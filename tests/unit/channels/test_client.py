"""The client goes where it looked and nowhere else, and waits for nobody for long."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from schemas.settings import Settings
from streams.channels import client as client_module
from streams.channels.client import AddressInfo, RequestError, open_client

OUTSIDE, INSIDE = "127.0.0.2", "127.0.0.1"
SETTINGS = Settings(_env_file=None, webhook_allow_http=True, webhook_allow_networks=f"{OUTSIDE}/32")
OK = b"HTTP/1.1 204 No Content\r\n\r\n"


@dataclass
class Names:
    """A name server that gives the next of its answers each time that it is asked."""

    answers: list[list[str]]
    asked: list[str] = field(default_factory=list)

    def __call__(self, host: str, port: int, _family: int, _kind: int) -> Sequence[AddressInfo]:
        self.asked.append(host)
        addresses = self.answers.pop(0)
        return [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
        ]


@dataclass
class Host:
    """A machine on one port of two addresses: what was asked of each."""

    answer: bytes | None = OK
    port: int = 0
    heard: dict[str, list[bytes]] = field(default_factory=lambda: {OUTSIDE: [], INSIDE: []})

    @property
    def url(self) -> str:
        return f"http://hook.example:{self.port}/path?token=secret"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        self.heard[address].append(await reader.readuntil(b"\r\n\r\n"))
        if self.answer is None:
            await reader.read()
        else:
            writer.write(self.answer)
        writer.close()


@asynccontextmanager
async def hosting(answer: bytes | None = OK) -> AsyncIterator[Host]:
    host = Host(answer)
    async with await asyncio.start_server(host.serve, OUTSIDE) as outside:
        host.port = outside.sockets[0].getsockname()[1]
        async with await asyncio.start_server(host.serve, INSIDE, host.port):
            yield host


async def post(url: str, names: Names | None = None) -> int:
    lookup = names or Names([[OUTSIDE]])
    async with open_client(SETTINGS, lookup) as client:
        return (await client.post(url, {"X-A": "b"}, b"{}")).status


async def refused(url: str, names: Names | None = None) -> RequestError:
    with pytest.raises(RequestError) as raised:
        await post(url, names)
    assert "secret" not in str(raised.value)
    assert "127." not in str(raised.value)
    return raised.value


async def test_a_name_is_resolved_once_and_the_connection_goes_where_it_led() -> None:
    """And the host's name is still what the receiver is told."""
    names = Names([[OUTSIDE]])
    async with hosting() as host:
        assert await post(host.url, names) == 204
    assert names.asked == ["hook.example"]
    (request,) = host.heard[OUTSIDE]
    assert b"POST /path?token=secret HTTP/1.1" in request
    assert f"Host: hook.example:{host.port}".encode() in request


async def test_a_name_that_is_bound_anew_between_look_and_connection_gains_nothing() -> None:
    """Each request looks again, goes where that look led, or nowhere: never inside."""
    names = Names([[OUTSIDE], [INSIDE], [OUTSIDE], [INSIDE]])
    async with hosting() as host, open_client(SETTINGS, names) as client:
        for _ in range(2):
            assert (await client.post(host.url, {}, b"{}")).status == 204
            with pytest.raises(RequestError, match="not public"):
                await client.post(host.url, {}, b"{}")
    assert len(host.heard[OUTSIDE]) == 2
    assert host.heard[INSIDE] == []
    assert len(names.asked) == 4


@pytest.mark.parametrize("addresses", [[INSIDE], [OUTSIDE, INSIDE], [INSIDE, OUTSIDE]])
async def test_a_name_with_one_bad_address_is_refused_whole(addresses: list[str]) -> None:
    async with hosting() as host:
        error = await refused(host.url, Names([addresses]))
    assert not error.maybe_arrived
    assert host.heard == {OUTSIDE: [], INSIDE: []}


@pytest.mark.parametrize("spelling", [INSIDE, "[::ffff:127.0.0.1]", "[::1]", "169.254.169.254"])
async def test_a_literal_address_is_looked_at_too(spelling: str) -> None:
    async with hosting() as host:
        await refused(f"http://{spelling}:{host.port}/", Names([]))
    assert host.heard == {OUTSIDE: [], INSIDE: []}


@pytest.mark.parametrize(
    "spelling", ["2130706433", "0x7f000001", "127.1", "017700000001", "localhost"]
)
async def test_an_odd_spelling_of_loopback_is_resolved_and_refused(spelling: str) -> None:
    """By the system's own resolver, which reads such spellings as addresses."""
    async with hosting() as host, open_client(SETTINGS) as client:
        with pytest.raises(RequestError):
            await client.post(f"http://{spelling}:{host.port}/", {}, b"{}")
    assert host.heard == {OUTSIDE: [], INSIDE: []}


async def test_a_redirection_is_told_and_not_followed() -> None:
    names = Names([[OUTSIDE]])
    async with hosting() as host:
        host.answer = f"HTTP/1.1 307 X\r\nLocation: http://{INSIDE}:{host.port}/\r\n\r\n".encode()
        assert await post(host.url, names) == 307
    assert host.heard[INSIDE] == []
    assert names.asked == ["hook.example"]


async def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be asked to go where this client did not look."""
    async with hosting() as host:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://{INSIDE}:{host.port}")
        assert await post(host.url) == 204
    assert host.heard[INSIDE] == []


async def test_an_answer_without_end_is_not_read() -> None:
    """Its status is all that counts."""
    endless = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n" + b"x" * 100_000
    async with asyncio.timeout(5), hosting(endless) as host:
        assert await post(host.url) == 200


@pytest.mark.parametrize(
    "answer",
    [None, b"", b"SSH-2.0-OpenSSH\r\n\r\n"],
    ids=["hangs", "closes", "is no web server"],
)
async def test_a_receiver_without_an_answer_may_have_taken_it(
    monkeypatch: pytest.MonkeyPatch, answer: bytes | None
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_S_MAX", 0.3)
    async with asyncio.timeout(5), hosting(answer) as host:
        assert (await refused(host.url)).maybe_arrived


async def test_a_head_without_end_is_cut_off() -> None:
    endless = b"HTTP/1.1 200 OK\r\n" + b"X-A: " + b"a" * 1_000_000
    async with asyncio.timeout(5), hosting(endless) as host:
        await refused(host.url)


async def test_where_nobody_listens_nothing_arrived() -> None:
    async with hosting() as host:
        url = host.url
    assert not (await refused(url)).maybe_arrived
