"""Mail: by the operator's server with TLS, or kept as pages of a folder while developing."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit
from uuid import UUID

import aiosmtplib

from schemas.settings import Settings
from streams.channels.pages import keep_page
from streams.domain.deliveries import Failed, Outcome, Sent
from streams.domain.messages import Message

COMMAND_S_MAX = 8.0
AT_A_TIME = 4
"""Connections to the operator's mail server."""
_REFUSED_FOR_EVER = range(500, 600)

Deliver = Callable[[EmailMessage], Awaitable[Outcome]]


class AddressError(ValueError):
    """The address cannot be written in a mail."""


def compose(
    message: Message, sender: str, recipient: str, key: UUID, now: datetime
) -> EmailMessage:
    """Write a mail as text and HTML; its Message-ID is made of the key, so that a repeat shows."""
    mail = EmailMessage(policy=SMTP)
    try:
        mail["To"] = Address(addr_spec=recipient)
    except Exception as error:  # the parser of addresses raises whatever it meets
        raise AddressError from error
    mail["From"] = Address("TaskFlow", addr_spec=sender)
    mail["Subject"] = message.title
    mail["Date"] = format_datetime(now.astimezone(UTC))
    mail["Message-ID"] = f"<{key}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no robot answers it
    mail.set_content(message.text)
    mail.add_alternative(message.html, subtype="html")
    return mail


@dataclass(frozen=True, slots=True)
class Server:
    """The operator's mail server; a connection for each mail."""

    host: str
    port: int
    implicit_tls: bool
    username: str | None
    password: str | None
    tls: ssl.SSLContext
    places: asyncio.Semaphore

    async def deliver(self, mail: EmailMessage) -> Outcome:
        """Hand a mail over; what the server says is told by its code alone."""
        async with self.places:
            try:
                await aiosmtplib.send(
                    mail,
                    hostname=self.host,
                    port=self.port,
                    use_tls=self.implicit_tls,
                    start_tls=not self.implicit_tls,
                    tls_context=self.tls,
                    username=self.username,
                    password=self.password,
                    timeout=COMMAND_S_MAX,
                )
            except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
                return _failure(error)
        return Sent()


def _failure(error: Exception) -> Failed:
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return Failed("the mail server refuses the operator's password")
        case aiosmtplib.SMTPRecipientsRefused(recipients=[first, *_]):
            final = first.code in _REFUSED_FOR_EVER
            return Failed(f"the mail server refuses the address ({first.code})", final=final)
        case aiosmtplib.SMTPResponseException(code=code):
            return Failed(f"the mail server answered {code}")
        case aiosmtplib.SMTPServerDisconnected() | aiosmtplib.SMTPReadTimeoutError():
            return Failed("the mail server ended before its answer", maybe_arrived=True)
        case _:
            return Failed("the mail server cannot be reached, or not with TLS")


@dataclass(frozen=True, slots=True)
class Folder:
    """Keeps each mail as a page, and sends nothing."""

    directory: Path

    async def deliver(self, mail: EmailMessage) -> Outcome:
        """Keep one mail."""
        try:
            await asyncio.to_thread(keep_page, self.directory, mail)
        except OSError:
            return Failed("the folder of mails cannot be written")
        return Sent()


async def _nowhere(_: EmailMessage) -> Outcome:
    return Failed("the server sends no mail: SMTP_URL is not set")


def make_deliver(settings: Settings) -> Deliver:
    """Make what carries mails; nothing is connected before the first one."""
    if settings.smtp_url is None:
        return _nowhere
    parts = urlsplit(settings.smtp_url.get_secret_value())
    if parts.scheme == "file":
        return Folder(Path(unquote(parts.path))).deliver
    implicit = parts.scheme == "smtps"
    return Server(
        host=parts.hostname or "localhost",
        port=parts.port or (465 if implicit else 587),
        implicit_tls=implicit,
        username=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=ssl.create_default_context(cafile=settings.smtp_ssl_cafile),
        places=asyncio.Semaphore(AT_A_TIME),
    ).deliver
