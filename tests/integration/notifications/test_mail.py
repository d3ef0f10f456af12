"""Mail arrives at a real server with STARTTLS, at verified addresses only, escaped."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from schemas import codec
from schemas.events import MAIL_REQUESTED, Envelope
from streams.effects.reading import Event
from streams.store.mails import ask_for_verification, is_email_verified, verify_email
from streams.transport.interface import Record
from tests.integration.effects.effects_world import envelope
from tests.integration.notifications.receivers import Mailbox, receiving_mail
from tests.integration.notifications.sending_world import World, reminder
from tests.waiting import eventually


def by(mailbox: Mailbox) -> dict[str, Any]:
    return {
        "smtp_url": SecretStr(mailbox.url),
        "smtp_ssl_cafile": mailbox.cafile,
        "mail_from": "taskflow@example.org",
    }


async def test_a_reminder_arrives_by_starttls_and_password_as_text_and_html(
    world: World, tmp_path: Path
) -> None:
    async with receiving_mail(tmp_path) as mailbox, world.sending(**by(mailbox)):
        user_id = await world.user("ada@example.org")
        channel = await world.email(user_id)
        await world.remind(reminder(user_id, "<b>rent</b>\r\nBcc: x@example.org"))
        (delivery,) = await world.settled(channel, 1)
    assert delivery.state == "sent", delivery.error
    (mail,) = mailbox.mails
    assert mailbox.recipients == ["ada@example.org"]
    assert mail["Message-ID"] == f"<{delivery.id}@example.org>"
    assert mail["Subject"] == "Reminder: <b>rent</b> Bcc: x@example.org"
    assert mail["Bcc"] is None
    html = mail.get_body(("html",))
    assert html is not None
    assert "&lt;b&gt;rent&lt;/b&gt;" in html.get_content()


async def test_an_address_that_is_not_verified_gets_nothing(world: World, tmp_path: Path) -> None:
    async with receiving_mail(tmp_path) as mailbox, world.sending(**by(mailbox)):
        user_id = await world.user(verified=False)
        channel = await world.email(user_id)
        await world.remind(reminder(user_id))
        (delivery,) = await world.settled(channel, 1)
    assert (delivery.state, delivery.error) == (
        "failed",
        "the account's address is not verified",
    )
    assert mailbox.mails == []


async def test_a_server_without_starttls_or_with_a_strange_certificate_gets_nothing(
    world: World, tmp_path: Path
) -> None:
    """The password and the mail do not leave without TLS to the right server."""
    async with (
        receiving_mail(tmp_path) as mailbox,
        world.sending(**by(mailbox) | {"smtp_ssl_cafile": None}),
    ):
        user_id = await world.user()
        channel = await world.email(user_id)
        await world.remind(reminder(user_id))

        async def tried() -> bool:
            return (await world.deliveries(channel))[0].error is not None

        await eventually(tried, 10, "an attempt has failed")
        (delivery,) = await world.deliveries(channel)
    assert delivery.error == "the mail server cannot be reached, or not with TLS"
    assert mailbox.mails == []


async def test_a_refusal_for_now_is_tried_again(world: World, tmp_path: Path) -> None:
    async with receiving_mail(tmp_path) as mailbox, world.sending(**by(mailbox)):
        mailbox.refuse = "451 later"
        user_id = await world.user()
        channel = await world.email(user_id)
        await world.remind(reminder(user_id))

        async def tried() -> bool:
            return (await world.deliveries(channel))[0].error == "the mail server answered 451"

        await eventually(tried, 10, "an attempt has failed")
        mailbox.refuse = None
        (delivery,) = await world.settled(channel, 1)
    assert delivery.state == "sent"
    assert delivery.attempts >= 2


async def asked_mail(world: World) -> Event:
    """Give the event of the outbox that asks for a mail, as the relay would bring it."""
    row = await world.database.fetchrow(
        "SELECT user_id, subject, data::text AS data FROM outbox WHERE type = $1", MAIL_REQUESTED
    )
    assert row is not None
    data = codec.decode(row["data"])
    assert data.keys() == {"mail_id"}
    key = str(row["user_id"])
    value = envelope(data, MAIL_REQUESTED, partitionkey=key, subject=row["subject"])
    record = Record("reminders", 0, 0, key.encode(), value, (), 0)
    return Event(record, Envelope.model_validate_json(value))


async def test_a_token_is_made_when_it_is_sent_and_only_its_hash_is_kept(
    world: World, tmp_path: Path
) -> None:
    """Nothing of it is in the event or in any table; it verifies once."""
    async with receiving_mail(tmp_path) as mailbox, world.sending(**by(mailbox)):
        user_id = await world.user("ada@example.org", verified=False)
        assert await ask_for_verification(world.database, user_id)
        assert not await ask_for_verification(world.database, user_id)
        event = await asked_mail(world)
        await world.remind(event, event)
        await world.remind(event)

        async def arrived() -> bool:
            return bool(mailbox.mails)

        await eventually(arrived, 10, "the mail arrives")
    (mail,) = mailbox.mails
    body = mail.get_body(("plain",))
    assert body is not None
    token = max(body.get_content().split(), key=len)
    for table in ("mails", "mail_tokens", "deliveries", "outbox", "channels", "notifications"):
        rows = await world.database.fetch(f"SELECT t::text AS line FROM {table} AS t")
        assert not [row for row in rows if token in row["line"]]
    token_hash = sha256(token.encode()).digest()
    assert not await is_email_verified(world.database, user_id)
    assert await verify_email(world.database, token_hash)
    assert await is_email_verified(world.database, user_id)
    assert not await verify_email(world.database, token_hash)


async def test_while_developing_a_mail_is_a_page_of_a_folder(world: World, tmp_path: Path) -> None:
    """And its index; nothing is sent."""
    async with world.sending(smtp_url=SecretStr(f"file:{tmp_path / 'mails'}")):
        user_id = await world.user()
        channel = await world.email(user_id)
        await world.remind(reminder(user_id, "<i>rent</i>"))
        await world.settled(channel, 1)
    index = (tmp_path / "mails" / "index.html").read_text()
    (page,) = (tmp_path / "mails").glob("2*.html")
    assert page.name in index
    assert "&lt;i&gt;rent&lt;/i&gt;" in page.read_text()
