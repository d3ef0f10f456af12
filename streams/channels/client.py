"""The one HTTP client for URLs of strangers: it goes to public addresses, and only where it looked.

A name is resolved once for each request, all its addresses are checked, and the connection is made
to those and to no others: what the name says a moment later has no effect. Redirections are not
followed, no proxy, cookie or connection is shared, and an answer's body is not read.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from schemas.settings import Settings
from streams.domain.addresses import Network, is_allowed, read_address, url_fault

CONNECT_S_MAX, ANSWER_S_MAX = 5.0, 10.0
LOOKUPS_MAX = 128
"""Threads that resolve names, more than all requests at a time: a name server that does not answer
holds up no request but its own."""

AddressInfo = tuple[
    socket.AddressFamily,
    socket.SocketKind,
    int,
    str,
    tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
]
Lookup = Callable[[str, int, int, int], Sequence[AddressInfo]]
"""What resolves a name, as `socket.getaddrinfo` does."""


class RequestError(Exception):
    """No answer came; the text is for the user. `maybe_arrived` says if the request may have."""

    def __init__(self, message: str, *, maybe_arrived: bool = False) -> None:
        super().__init__(message)
        self.maybe_arrived = maybe_arrived


class ForbiddenAddressError(OSError):
    """A name leads to an address that requests must not go to."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said: its status, and when to come again if it told."""

    status: int
    retry_after: str | None


class GuardedResolver(AbstractResolver):
    """Resolves a name, and refuses it whole if one of its addresses is not allowed."""

    def __init__(
        self, allowed: Sequence[Network], threads: ThreadPoolExecutor, lookup: Lookup
    ) -> None:
        self._allowed = allowed
        self._threads = threads
        self._lookup = lookup

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Give the addresses that the connection is made to."""
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, self._lookup, host, port, family, socket.SOCK_STREAM
        )
        results = [_result(host, port, entry) for entry in found]
        for result in results:
            address = read_address(result["host"])
            if address is None or not is_allowed(address, self._allowed):
                raise ForbiddenAddressError("the name leads to an address that is not public")
        return results

    async def close(self) -> None:
        """Have nothing to close: the threads are the client's."""


def _result(host: str, port: int, entry: AddressInfo) -> ResolveResult:
    family, _, protocol, _, place = entry
    return ResolveResult(
        hostname=host,
        host=str(place[0]),
        port=port,
        family=family,
        proto=protocol,
        flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
    )


@dataclass(frozen=True, slots=True)
class Client:
    """Posts to where users say."""

    _session: aiohttp.ClientSession
    _allowed: Sequence[Network]
    _allow_http: bool

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post a body, once; raises `RequestError` within `ANSWER_S_MAX` if no answer comes."""
        fault = url_fault(url, self._allowed, allow_http=self._allow_http)
        if fault is not None:
            raise RequestError(f"the URL {fault}")
        try:
            async with self._session.post(
                URL(url), headers=headers, data=body, allow_redirects=False
            ) as answer:
                return Answer(answer.status, answer.headers.get("Retry-After"))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise _request_error(error) from error


def _request_error(error: Exception) -> RequestError:  # noqa: PLR0911 - a table
    match error:
        case aiohttp.ClientConnectorError(os_error=ForbiddenAddressError()):
            return RequestError("the name leads to an address that is not public")
        case aiohttp.ClientConnectorDNSError():
            return RequestError("the name was not found")
        case aiohttp.ClientConnectorCertificateError(certificate_error=fault):
            return RequestError(f"the receiver's certificate {_certificate_fault(fault)}")
        case aiohttp.ClientSSLError():
            return RequestError("the receiver's TLS is not acceptable")
        case aiohttp.ClientConnectorError():
            return RequestError("nobody accepts connections there")
        case aiohttp.ConnectionTimeoutError():
            return RequestError("no connection within the time")
        case TimeoutError():
            return RequestError("no answer within the time", maybe_arrived=True)
        case aiohttp.InvalidURL() | ValueError():
            return RequestError("the URL is not one that requests can go to")
        case _:
            return RequestError("the connection ended before an answer", maybe_arrived=True)


_CERTIFICATE_FAULTS = {
    **dict.fromkeys((62, 64), "is of another name"),
    **dict.fromkeys((9, 10), "has expired, or is not valid yet"),
    **dict.fromkeys((7, 18, 19, 20, 21), "is signed by no authority that is trusted here"),
}
"""By OpenSSL's X509_V_ERR codes (x509_vfy.h). Its own texts quote the name."""


def _certificate_fault(error: Exception) -> str:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else None
    return _CERTIFICATE_FAULTS.get(code or 0, f"is not acceptable (OpenSSL's code {code})")


def _tls(settings: Settings) -> ssl.SSLContext:
    """Trust the system's authorities, and beside them the operator's own."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    if settings.webhook_ssl_cafile is not None:
        context.load_verify_locations(settings.webhook_ssl_cafile)
    return context


@asynccontextmanager
async def open_client(
    settings: Settings, lookup: Lookup = socket.getaddrinfo
) -> AsyncIterator[Client]:
    """Open the client; requests that are in progress at the end are cut off."""
    allowed = settings.webhook_allow_networks
    threads = ThreadPoolExecutor(LOOKUPS_MAX, "lookup")
    connector = aiohttp.TCPConnector(
        resolver=GuardedResolver(allowed, threads, lookup),
        use_dns_cache=False,
        force_close=True,
        limit=0,  # the lanes have the limits
        ssl=_tls(settings),
    )
    try:
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=ANSWER_S_MAX, sock_connect=CONNECT_S_MAX),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
        ) as session:
            yield Client(session, allowed, settings.webhook_allow_http)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
