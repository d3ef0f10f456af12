"""Receivers on loopback: web servers that misbehave as told, and a mail server with STARTTLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from urllib.parse import quote

from aiohttp import web
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.stack import free_port


@dataclass(frozen=True, slots=True)
class Request:
    """What a receiver got."""

    headers: dict[str, str]
    body: bytes
    at: float

    @property
    def key(self) -> str:
        """The id by which a receiver drops a repeat."""
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """A web server; `answer` gives the status and headers for the n-th request, or None to hang."""

    answer: Callable[[int], tuple[int, dict[str, str]] | None]
    requests: list[Request] = field(default_factory=list)
    taken: list[Request] = field(default_factory=list)
    """Those that were answered with 2xx."""
    port: int = 0
    url: str = ""
    pause: asyncio.Event | None = None
    """What an answer waits for, if anything."""

    async def handle(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Request(headers, await request.read(), monotonic())
        self.requests.append(got)
        answer = self.answer(len(self.requests))
        if self.pause is not None:
            await self.pause.wait()
        if answer is None:
            await asyncio.Event().wait()
            raise AssertionError
        status, extra = answer
        if status < 300:
            self.taken.append(got)
        return web.Response(status=status, headers=extra)


@asynccontextmanager
async def receiving(
    answer: Callable[[int], tuple[int, dict[str, str]] | None] = lambda _: (200, {}),
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Receiver]:
    """Run a receiver while the context is open; with `tls` it is `localhost`, by https."""
    receiver = Receiver(answer)
    application = web.Application()
    application.router.add_post("/{anything:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    receiver.port = free_port()
    await web.TCPSite(runner, "127.0.0.1", receiver.port, ssl_context=tls).start()
    host = "https://localhost" if tls else "http://127.0.0.1"
    receiver.url = f"{host}:{receiver.port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@dataclass
class Mailbox:
    """A mail server that wants STARTTLS and a password, and keeps what it gets."""

    port: int
    cafile: Path
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    refuse: str | None = None
    password: str = "p@ss"

    @property
    def url(self) -> str:
        return f"smtp://taskflow:{quote(self.password, safe='')}@127.0.0.1:{self.port}"

    async def handle_DATA(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope
    ) -> str:
        if self.refuse is not None:
            return self.refuse
        content = envelope.content
        assert isinstance(content, bytes)
        mail = BytesParser(_class=EmailMessage, policy=default).parsebytes(content)
        self.mails.append(mail)
        self.recipients += envelope.rcpt_tos
        return "250 OK"


@asynccontextmanager
async def receiving_mail(directory: Path) -> AsyncIterator[Mailbox]:
    """Run a mail server while the context is open."""
    cafile, keyfile = make_certificate(directory)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cafile, keyfile)
    mailbox = Mailbox(free_port(), cafile)

    def authenticate(*arguments: object) -> AuthResult:
        given = arguments[-1]
        right = LoginPassword(b"taskflow", mailbox.password.encode())
        return AuthResult(success=given == right)

    controller = Controller(
        mailbox,
        hostname="127.0.0.1",
        port=mailbox.port,
        tls_context=context,
        require_starttls=True,
        authenticator=authenticate,
        auth_required=True,
    )
    await asyncio.to_thread(controller.start)
    try:
        yield mailbox
    finally:
        await asyncio.to_thread(controller.stop)


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """Make a certificate of 127.0.0.1 that is its own authority; give its file and its key's."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cafile, keyfile = directory / "ca.pem", directory / "key.pem"
    cafile.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    keyfile.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return cafile, keyfile
