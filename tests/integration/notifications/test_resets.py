"""A forgotten password is reset by a mail, and nobody learns from it whose address is known."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import UUID, uuid4

import httpx
import pytest
from pydantic import SecretStr

from schemas import codec
from schemas.events import MAIL_REQUESTED, Envelope
from schemas.ids import new_id
from streams.effects.reading import Event
from streams.store import resets
from streams.store.mails import PER_DAY_MAX, ask_for_verification, is_email_verified, verify_email
from streams.store.notifications import prune
from streams.store.resets import ask_for_reset, reset_password
from streams.store.users import NewSession, find_credentials, insert_session
from streams.transport.interface import Record
from tests.integration.api.world import Api, broken, problem, running_api
from tests.integration.effects.effects_world import envelope
from tests.integration.notifications.receivers import Mailbox, receiving_mail
from tests.integration.notifications.sending_world import World
from tests.integration.notifications.test_mail import by
from tests.waiting import eventually

ADA, NOBODY = "ada@example.org", "nobody@example.org"
OLD, NEW = "correct horse battery", "another horse battery"
FORGOT, RESET = "/api/auth/password/forgot", "/api/auth/password/reset"
TABLES = ("mails", "mail_tokens", "deliveries", "outbox", "channels", "notifications", "users")


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running_api(database_url, trusted_proxies="127.0.0.1/32") as api:
        yield api


@dataclass
class Post:
    """Carries the events of mails to the worker, and its mails to a mailbox."""

    world: World
    mailbox: Mailbox

    async def carry(self) -> None:
        """Apply all events that ask for mails, as often as they were ever written."""
        rows = await self.world.database.fetch(
            "SELECT user_id, subject, data::text AS data FROM outbox WHERE type = $1 ORDER BY seq",
            MAIL_REQUESTED,
        )
        for row in rows:
            key = str(row["user_id"])
            data = codec.decode(row["data"])
            assert data == {"mail_id": row["subject"]}
            value = envelope(data, MAIL_REQUESTED, partitionkey=key, subject=row["subject"])
            record = Record("reminders", 0, 0, key.encode(), value, (), 0)
            await self.world.remind(Event(record, Envelope.model_validate_json(value)))

    async def tokens(self, count: int) -> Sequence[str]:
        """Give the tokens of so many mails, the oldest first."""

        async def arrived() -> bool:
            return len(self.mailbox.mails) >= count

        await eventually(arrived, 10, f"{count} mails arrive")
        bodies = [mail.get_body(("plain",)) for mail in self.mailbox.mails]
        return [max(body.get_content().split(), key=len) for body in bodies if body]


@pytest.fixture
async def post(world: World, tmp_path: Path) -> AsyncIterator[Post]:
    async with receiving_mail(tmp_path) as mailbox, world.sending(**by(mailbox)):
        yield Post(world, mailbox)


async def a_minute_later(world: World) -> None:
    await world.database.fetch("UPDATE mails SET created_at = created_at - interval '61 s'")


async def waiting(world: World, count: int) -> bool:
    """Tell whether so many transactions wait for a lock."""
    row = await world.database.fetchrow(
        "SELECT count(*) AS n FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return row is not None and row["n"] == count


async def forgot(api: Api, email: str, **headers: str) -> httpx.Response:
    return await api.client.post(FORGOT, json={"email": email}, headers=headers)


async def reset(api: Api, token: str, password: str = NEW) -> httpx.Response:
    return await api.client.post(RESET, json={"token": token, "password": password})


async def login(api: Api, password: str) -> int:
    body = {"email": ADA, "password": password}
    return (await api.client.post("/api/auth/login", json=body)).status_code


async def test_a_password_is_reset_by_a_token_and_every_session_ends(
    api: Api, world: World, post: Post
) -> None:
    """The address is proved; the token is in no table and no event, and good for one use."""
    registered = await api.client.post("/api/auth/register", json={"email": ADA, "password": OLD})
    user_id = UUID(registered.json()["user"]["id"])
    assert await login(api, OLD) == 200
    rows = await world.database.fetch("SELECT session_id::text FROM refresh_tokens")
    sessions = {row["session_id"] for row in rows}
    assert len(sessions) == 2
    assert (await forgot(api, " Ada@Example.org ")).status_code == 202
    await post.carry()
    await post.carry()
    (token,) = await post.tokens(1)
    for table in TABLES:
        rows = await world.database.fetch(f"SELECT t::text AS line FROM {table} AS t")
        assert not [row for row in rows if token in row["line"]]
    assert not await is_email_verified(world.database, user_id)
    assert broken(await reset(api, token, "short")) == [("/password", "min_length")]
    assert (await reset(api, token)).status_code == 204
    assert (await login(api, OLD), await login(api, NEW)) == (401, 200)
    assert broken(await reset(api, token, OLD)) == [("/token", "token")]
    assert await is_email_verified(world.database, user_id)
    ended = await world.database.fetch(
        "SELECT subject, user_id FROM outbox WHERE type = 'taskflow.session.revoked'"
    )
    assert {(row["subject"], row["user_id"]) for row in ended} == {(s, user_id) for s in sessions}
    assert len(ended) == 2


async def test_of_an_address_that_nobody_has_the_answer_is_the_same_and_no_mail_goes_out(
    api: Api, world: World, post: Post
) -> None:
    """The same rows are written too, so that time tells nothing."""
    await world.user(ADA)
    known, unknown = await forgot(api, ADA), await forgot(api, NOBODY)
    for answer in (known, unknown):
        assert (answer.status_code, answer.content) == (202, b"")
    assert known.headers.keys() == unknown.headers.keys()
    for table in ("mails", "outbox"):
        row = await world.database.fetchrow(f"SELECT count(*) AS n FROM {table}")
        assert row is not None
        assert row["n"] == 2
    rows = await world.database.fetch("SELECT user_id FROM outbox JOIN users ON users.id = user_id")
    assert rows == [], "no event tells either"
    await post.carry()
    await post.tokens(1)
    assert post.mailbox.recipients == [ADA]
    row = await world.database.fetchrow("SELECT count(*) AS n FROM deliveries")
    assert row is not None
    assert row["n"] == 1
    for email in (ADA, NOBODY):
        limited = await forgot(api, email)
        problem(limited, 429, "rate-limited")
        assert int(limited.headers["Retry-After"]) == 60


async def test_no_time_tells_whether_an_address_is_known(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the medians of requests in turn."""
    monkeypatch.setattr(resets, "PER_NETWORK_MAX", 1_000)
    known = [f"known-{n}@example.org" for n in range(60)]
    for email in known:
        await world.user(email)
    took: dict[bool, list[float]] = {True: [], False: []}
    for email in known:
        for is_known in (True, False):
            began_at = perf_counter()
            answer = await forgot(api, email if is_known else f"un{email}")
            took[is_known].append(perf_counter() - began_at)
            assert answer.status_code == 202
    one, other = median(took[True][10:]), median(took[False][10:])
    print(f"\nknown {one * 1000:.2f} ms, unknown {other * 1000:.2f} ms in the median")
    assert abs(one - other) < 0.3 * max(one, other)


async def test_mails_are_limited_by_address_and_by_the_clients_network(
    api: Api, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One a minute and ten a day for an address; the network is what a trusted proxy says."""
    for _ in range(PER_DAY_MAX):
        assert (await forgot(api, NOBODY)).status_code == 202
        assert (await forgot(api, NOBODY)).status_code == 429
        await a_minute_later(world)
    assert (await forgot(api, NOBODY)).status_code == 429
    monkeypatch.setattr(resets, "PER_NETWORK_MAX", 2)
    inside = ("2001:db8::1", "2001:db8::2:2", "2001:db8::3")
    answers = [
        await forgot(api, f"{n}@example.org", **{"X-Forwarded-For": address})
        for n, address in enumerate((*inside, "2001:db8:0:1::1"))
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 429, 202]
    assert int(answers[2].headers["Retry-After"]) == 60


async def test_of_requests_at_once_for_an_address_one_is_taken(world: World) -> None:
    asked = await asyncio.gather(*(ask_for_reset(world.database, ADA, "a") for _ in range(8)))
    assert sorted(asked) == [*[False] * 7, True]


async def test_a_token_is_good_for_what_it_was_made_for_and_for_an_hour(
    api: Api, world: World, post: Post
) -> None:
    user_id = await world.user(ADA, verified=False)
    assert await ask_for_verification(world.database, user_id)
    assert (await forgot(api, ADA)).status_code == 202, "one does not hold up the other"
    await post.carry()
    verifying, resetting = sorted(
        await post.tokens(2), key=lambda token: "Verify" not in subject_of(post, token)
    )
    assert broken(await reset(api, verifying)) == [("/token", "token")]
    assert not await verify_email(world.database, sha256(resetting.encode()).digest())
    await world.database.fetch(
        "UPDATE mail_tokens SET expires_at = expires_at - interval '1 hour' WHERE token_hash = $1",
        sha256(resetting.encode()).digest(),
    )
    assert broken(await reset(api, resetting)) == [("/token", "token")]
    assert await verify_email(world.database, sha256(verifying.encode()).digest())


def subject_of(post: Post, token: str) -> str:
    for mail in post.mailbox.mails:
        body = mail.get_body(("plain",))
        if body and token in body.get_content():
            return str(mail["Subject"])
    raise AssertionError(token)


async def test_of_several_tokens_used_at_once_one_counts_and_the_others_are_void(
    api: Api, world: World, post: Post
) -> None:
    """Of one account, each twice; nobody waits for another for ever."""
    await world.user(ADA)
    for _ in range(3):
        assert (await forgot(api, ADA)).status_code == 202
        await a_minute_later(world)
    await post.carry()
    hashes = [sha256(token.encode()).digest() for token in await post.tokens(3)]
    async with world.database.transaction() as session:
        await session.fetch("SELECT FROM users FOR UPDATE")
        using = asyncio.ensure_future(
            asyncio.gather(
                *(
                    reset_password(world.database, one, f"hash {n}")
                    for n, one in enumerate(hashes * 2)
                )
            )
        )
        await eventually(lambda: waiting(world, 6), 3, "all wait for the account")
    used = await using
    assert sorted(used) == [*[False] * 5, True]
    found = await find_credentials(world.database, ADA)
    assert found is not None
    assert found[1] == f"hash {used.index(True)}"


async def test_a_login_that_began_before_a_reset_opens_no_session_after_it(world: World) -> None:
    """It waits for the reset, and then its password is the old one."""
    user_id = await world.user(ADA)
    session = NewSession(new_id(), uuid4().bytes * 2, datetime.now(UTC) + timedelta(days=1))
    async with world.database.transaction() as changing:
        await changing.fetch("UPDATE users SET password_hash = 'new' WHERE id = $1", user_id)
        opening = asyncio.create_task(insert_session(world.database, user_id, session, "no hash"))
        await eventually(lambda: waiting(world, 1), 3, "the login waits")
    assert await opening is False
    assert await insert_session(world.database, user_id, session, "new")


async def test_a_mail_that_could_not_be_sent_for_an_hour_is_not_sent(
    world: World, tmp_path: Path
) -> None:
    """Whoever asked has long asked again."""
    async with receiving_mail(tmp_path) as mailbox, world.sending(**by(mailbox)):
        await world.user(ADA)
        assert await ask_for_reset(world.database, ADA, "a")
        await world.database.fetch("UPDATE mails SET created_at = now() - interval '61 minutes'")
        await Post(world, mailbox).carry()

        async def failed() -> bool:
            row = await world.database.fetchrow("SELECT state FROM deliveries")
            return row is not None and row["state"] == "failed"

        await eventually(failed, 10, "it is given up")
    assert mailbox.mails == []


async def test_what_was_asked_for_is_forgotten_after_a_day(world: World) -> None:
    """So that who asks for many addresses fills no table."""
    user_id = await world.user(ADA, verified=False)
    assert await ask_for_verification(world.database, user_id)
    assert await ask_for_reset(world.database, ADA, "a")
    assert await ask_for_reset(world.database, NOBODY, "a")
    await world.database.fetch("UPDATE mails SET created_at = now() - interval '25 hours'")
    assert await prune(world.database) == 2
    (row,) = await world.database.fetch("SELECT purpose FROM mails")
    assert row["purpose"] == "verify"


async def test_while_developing_a_reset_is_a_page_with_the_token(
    world: World, tmp_path: Path
) -> None:
    async with world.sending(smtp_url=SecretStr(f"file:{tmp_path / 'mails'}")):
        await world.user(ADA)
        assert await ask_for_reset(world.database, ADA, "a")
        await Post(world, Mailbox(0, tmp_path)).carry()

        async def there() -> bool:
            return bool(list((tmp_path / "mails").glob("2*.html")))

        await eventually(there, 10, "the page is there")
    (page,) = (tmp_path / "mails").glob("2*.html")
    assert "Choose a new password" in page.read_text()
