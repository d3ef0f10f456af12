"""The table of channels: another kind is a line here, and a sender that keeps to `sender.py`."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from schemas.settings import Settings
from streams.channels.client import open_client
from streams.channels.letters import AccountSender, EmailSender
from streams.channels.mail import make_deliver
from streams.channels.sender import Send
from streams.channels.webhook import WebhookSender
from streams.store.database import Database
from streams.store.vault import make_vault


@asynccontextmanager
async def open_senders(settings: Settings, database: Database) -> AsyncIterator[Mapping[str, Send]]:
    """Open what every kind of channel sends with, by its kind."""
    deliver = make_deliver(settings)
    vault = make_vault([key.get_secret_value() for key in settings.channel_keys])
    async with open_client(settings) as client:
        yield {
            "webhook": WebhookSender(client, vault).send,
            "email": EmailSender(deliver, settings.mail_from).send,
            "account": AccountSender(deliver, settings.mail_from, database).send,
        }
