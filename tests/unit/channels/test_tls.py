"""Over TLS the client believes the name of the URL alone, and sends nothing before it does."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from schemas.settings import Settings
from streams.channels.client import RequestError, open_client
from tests.authority import Authority, make_authority, self_signed
from tests.unit.channels.test_client import OK, OUTSIDE, Names

NAME = "hook.example"


@dataclass
class Host:
    """A machine that is reached by TLS: the names that it was asked by, and what came decrypted."""

    port: int = 0
    asked: list[str | None] = field(default_factory=list)
    heard: list[bytes] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"https://{NAME}:{self.port}/path?token=secret"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if head := await reader.read(65_536):
            self.heard.append(head)
            writer.write(OK)
        writer.close()


@asynccontextmanager
async def hosting(tls: ssl.SSLContext) -> AsyncIterator[Host]:
    host = Host()
    tls.sni_callback = lambda _object, name, _context: host.asked.append(name)
    async with await asyncio.start_server(host.serve, OUTSIDE, ssl=tls) as server:
        host.port = server.sockets[0].getsockname()[1]
        yield host


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "ours")


async def post(host: Host, cafile: Path | None) -> int:
    settings = Settings(
        _env_file=None, webhook_allow_networks=f"{OUTSIDE}/32", webhook_ssl_cafile=cafile
    )
    async with open_client(settings, Names([[OUTSIDE]])) as client:
        return (await client.post(host.url, {"X-A": "b"}, b"{}")).status


async def test_a_certificate_of_the_urls_name_is_believed(authority: Authority) -> None:
    """The server is asked by that name too, though the address was looked up before."""
    async with hosting(authority.server(NAME)) as host:
        assert await post(host, authority.cafile) == 204
    assert host.asked == [NAME]
    (request,) = host.heard
    assert f"Host: {NAME}:{host.port}".encode() in request


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("another name", "is of another name"),
        ("the address alone", "is of another name"),
        ("expired", "has expired, or is not valid yet"),
        ("not valid yet", "has expired, or is not valid yet"),
        ("self-signed", "is signed by no authority that is trusted here"),
        ("another authority", "is signed by no authority that is trusted here"),
    ],
)
async def test_a_certificate_that_is_not_right_is_named_and_nothing_is_sent(
    authority: Authority, tmp_path: Path, fault: str, text: str
) -> None:
    """Not even of the connection's own address: what was pinned is no name."""
    tls = {
        "another name": lambda: authority.server("other.example"),
        "the address alone": lambda: authority.server(OUTSIDE),
        "expired": lambda: authority.server(NAME, ended_ago=timedelta(minutes=5)),
        "not valid yet": lambda: authority.server(NAME, ended_ago=timedelta(days=-9)),
        "self-signed": lambda: self_signed(tmp_path, NAME),
        "another authority": lambda: make_authority(tmp_path / "other").server(NAME),
    }[fault]()
    async with hosting(tls) as host:
        with pytest.raises(RequestError) as raised:
            await post(host, authority.cafile)
    assert str(raised.value) == f"the receiver's certificate {text}"
    assert not raised.value.maybe_arrived
    assert host.asked == [NAME]
    assert host.heard == []


async def test_an_authority_is_trusted_only_when_the_operator_says_so(
    authority: Authority,
) -> None:
    async with hosting(authority.server(NAME)) as host:
        with pytest.raises(RequestError, match="no authority that is trusted"):
            await post(host, None)
    assert host.heard == []


async def test_a_receiver_that_speaks_no_tls_is_told_so() -> None:
    """And nothing is sent in clear."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65_536))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(serve, OUTSIDE) as server:
        host = Host(server.sockets[0].getsockname()[1])
        with pytest.raises(RequestError, match="TLS") as raised:
            await post(host, None)
    assert not raised.value.maybe_arrived
    assert b"secret" not in heard[0]
