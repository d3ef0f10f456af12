"""Mail as a channel: notifications to verified addresses, and the mails that verify them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_urlsafe

from schemas import codec
from schemas.events import REMINDER_DUE, DueReminder
from streams.channels.mail import AddressError, Deliver, compose
from streams.domain.deliveries import Failed, Outcome
from streams.domain.messages import (
    Message,
    channel_test_message,
    reminder_message,
    reset_message,
    verification_message,
)
from streams.store.database import Database
from streams.store.mails import MailPurpose, insert_token
from streams.store.sending import Parcel

_TOKEN_BYTES = 32
_TOKEN_MESSAGES = {
    MailPurpose.VERIFY: verification_message,
    MailPurpose.RESET: reset_message,
}


@dataclass(frozen=True, slots=True)
class EmailSender:
    """Mails what happened to users who have shown that the address is theirs."""

    deliver: Deliver
    mail_from: str

    async def send(self, parcel: Parcel) -> Outcome:
        """Mail one event."""
        if not parcel.email_is_verified:
            return Failed("the account's address is not verified", final=True)
        return await _mail(self.deliver, self.mail_from, parcel, message_of(parcel))


@dataclass(frozen=True, slots=True)
class AccountSender:
    """Mails tokens; each is made here, and only its hash is kept."""

    deliver: Deliver
    mail_from: str
    database: Database

    async def send(self, parcel: Parcel) -> Outcome:
        """Mail one token to the address that it is to prove."""
        token = token_urlsafe(_TOKEN_BYTES)
        token_hash = sha256(token.encode()).digest()
        email_key = parcel.email.casefold()
        purpose = await insert_token(self.database, parcel.delivery_id, email_key, token_hash)
        if purpose is None:
            return Failed("the mail is of no use any more: it proves nothing new", final=True)
        message = _TOKEN_MESSAGES[purpose](token)
        return await _mail(self.deliver, self.mail_from, parcel, message)


def message_of(parcel: Parcel) -> Message:
    """Tell of an event as its user's clock shows it."""
    envelope = codec.decode(parcel.event)
    if parcel.event_type == REMINDER_DUE:
        return reminder_message(DueReminder.model_validate(envelope["data"]), parcel.timezone)
    return channel_test_message(parcel.name)


async def _mail(deliver: Deliver, mail_from: str, parcel: Parcel, message: Message) -> Outcome:
    try:
        mail = compose(message, mail_from, parcel.email, parcel.delivery_id, datetime.now(UTC))
    except AddressError:
        return Failed("the account's address cannot be written in a mail", final=True)
    return await deliver(mail)
