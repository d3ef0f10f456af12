"""Notifications and channels over HTTP: each user's own, secrets shown once, limits kept."""

from collections.abc import AsyncIterator
from hashlib import sha256
from uuid import UUID

import pytest

from schemas.events import REMINDER_DUE
from schemas.notifications import WEBHOOK_TYPES
from streams.store.channels import CHANNELS_MAX, find_channel, open_hook
from streams.store.vault import SealedError, make_vault
from tests.integration.api.world import Api, Json, Person, broken, problem, read, running_api
from tests.integration.notifications.receivers import receiving
from tests.integration.notifications.sending_world import KEYS, World, reminder
from tests.integration.notifications.test_webhooks import is_signed
from tests.waiting import eventually

URL = "https://hook.example.org/a?token=secret"


@pytest.fixture
async def api(database_url: str) -> AsyncIterator[Api]:
    async with running_api(
        database_url,
        channel_keys=",".join(KEYS),
        webhook_allow_http=True,
        webhook_allow_networks="127.0.0.0/8",
    ) as api:
        yield api


@pytest.fixture
async def ada(api: Api) -> Person:
    return await api.person()


@pytest.fixture
async def bob(api: Api) -> Person:
    return await api.person()


async def make(person: Person, **fields: object) -> Json:
    body = {"kind": "webhook", "url": URL} | fields
    answer = await person.ask("POST", "/channels", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Location"].endswith(read(answer)["id"])
    return read(answer)


async def items(person: Person, below: str) -> list[Json]:
    answer = await person.ask("GET", below)
    assert answer.status_code == 200, answer.text
    found: list[Json] = read(answer)["items"]
    return found


async def test_notifications_are_paged_read_one_by_one_and_all_at_once(
    ada: Person, world: World
) -> None:
    for number in range(5):
        await world.remind(reminder(ada.id, f"task {number}"))
    page = read(await ada.ask("GET", "/notifications?limit=2"))
    assert [item["title"] for item in page["items"]] == ["Reminder: task 4", "Reminder: task 3"]
    rest = await items(ada, f"/notifications?cursor={page['next_cursor']}")
    assert [item["title"] for item in rest] == [f"Reminder: task {n}" for n in (2, 1, 0)]
    wanted = rest[0]["id"]
    first = read(await ada.ask("POST", f"/notifications/{wanted}/read"))
    assert first["read_at"]
    assert read(await ada.ask("POST", f"/notifications/{wanted}/read")) == first
    assert read(await ada.ask("GET", "/notifications/unread")) == {"unread": 4}
    unread = await items(ada, "/notifications?unread=true")
    assert wanted not in {item["id"] for item in unread}
    assert (await ada.ask("POST", "/notifications/read-all")).status_code == 204
    assert read(await ada.ask("GET", "/notifications/unread")) == {"unread": 0}
    assert broken(await ada.ask("GET", "/notifications?unread=yes")) == [("unread", "one_of")]


async def test_anothers_notifications_and_channels_are_not_there(
    ada: Person, bob: Person, world: World
) -> None:
    channel = await make(ada)
    await world.remind(reminder(ada.id))
    (notification,) = await items(ada, "/notifications")
    assert await items(bob, "/notifications") == []
    assert await items(bob, "/channels") == []
    below = f"/channels/{channel['id']}"
    for method, path in (
        ("POST", f"/notifications/{notification['id']}/read"),
        ("GET", below),
        ("PATCH", below),
        ("DELETE", below),
        ("POST", f"{below}/test"),
        ("POST", f"{below}/rotate"),
        ("GET", f"{below}/deliveries"),
    ):
        body = {"json": {"name": "x"}} if method == "PATCH" else {}
        problem(await bob.ask(method, path, **body), 404, "not-found")
    await bob.ask("POST", "/notifications/read-all")
    assert read(await ada.ask("GET", "/notifications/unread")) == {"unread": 1}
    assert [item["id"] for item in await items(ada, "/channels")] == [channel["id"]]


async def test_a_secret_is_shown_once_and_url_and_secret_are_sealed(
    ada: Person, world: World
) -> None:
    channel = await make(ada, name="home")
    assert channel["secret"].startswith("whsec_")
    below = f"/channels/{channel['id']}"
    shown = read(await ada.ask("GET", below))
    assert shown == {name: value for name, value in channel.items() if name != "secret"}
    assert (shown["url"], shown["enabled"], shown["name"]) == (URL, True, "home")
    rows = await world.database.fetch("SELECT channels::text AS line FROM channels")
    assert "hook.example.org" not in rows[0]["line"]
    assert channel["secret"] not in rows[0]["line"]
    stored = await find_channel(world.database, ada.id, UUID(channel["id"]))
    assert stored is not None
    with pytest.raises(SealedError):
        open_hook(world.vault, UUID(int=1), stored.sealed or "")
    other = make_vault(["o" * 32])
    assert other is not None
    with pytest.raises(SealedError):
        open_hook(other, stored.id, stored.sealed or "")


async def test_a_rotation_signs_with_both_secrets_and_then_with_the_new_one(
    ada: Person, world: World
) -> None:
    async with receiving() as receiver, world.sending():
        channel = await make(ada, url=receiver.url)
        below = f"/channels/{channel['id']}"
        rotated = read(await ada.ask("POST", f"{below}/rotate"))
        assert rotated["secret"] != channel["secret"]
        answer = await ada.ask("POST", f"{below}/test")
        assert answer.status_code == 202
        tested = read(answer)
        assert (tested["state"], tested["event_type"]) == ("waiting", "taskflow.channel.test")

        async def arrived() -> bool:
            return bool(receiver.requests)

        await eventually(arrived, 10, "the test arrives")
    (request,) = receiver.requests
    assert request.key == tested["id"]
    assert is_signed(request, channel["secret"])
    assert is_signed(request, rotated["secret"])
    (logged,) = await items(ada, f"{below}/deliveries")
    assert logged["id"] == tested["id"]


async def test_a_channel_is_changed_switched_off_and_deleted(ada: Person, world: World) -> None:
    channel = await make(ada)
    below = f"/channels/{channel['id']}"
    changed = read(await ada.ask("PATCH", below, json={"name": "new", "url": URL + "2"}))
    assert (changed["name"], changed["url"]) == ("new", URL + "2")
    await world.remind(reminder(ada.id))
    off = read(await ada.ask("PATCH", below, json={"enabled": False}))
    assert off["enabled"] is False
    (delivery,) = await items(ada, f"{below}/deliveries")
    assert (delivery["state"], delivery["error"]) == ("failed", "the channel was switched off")
    problem(await ada.ask("POST", f"{below}/test"), 409, "conflict")
    await world.remind(reminder(ada.id))
    assert len(await items(ada, f"{below}/deliveries")) == 1
    assert (await ada.ask("DELETE", below)).status_code == 204
    problem(await ada.ask("GET", below), 404, "not-found")
    assert len(await items(ada, "/notifications")) == 2


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({"kind": "webhook"}, [("/url", "required")]),
        ({"kind": "webhook", "url": "https://127.0.0.1.nip.example/#a"}, [("/url", "url")]),
        ({"kind": "webhook", "url": "http://10.0.0.1/"}, [("/url", "url")]),
        ({"kind": "webhook", "url": "https://169.254.169.254/"}, [("/url", "url")]),
        ({"kind": "email", "url": URL}, [("/url", "unknown_field")]),
        ({"kind": "account"}, [("/kind", "one_of")]),
        ({"kind": "webhook", "url": URL, "event_types": ["x"]}, [("/event_types/0", "one_of")]),
        ({"kind": "webhook", "url": URL, "event_types": []}, [("/event_types", "min_length")]),
        ({"kind": "webhook", "url": URL, "secret": "x"}, [("/secret", "unknown_field")]),
    ],
)
async def test_what_is_wrong_with_a_channel_is_named(
    ada: Person, body: Json, faults: list[tuple[str, str]]
) -> None:
    assert broken(await ada.ask("POST", "/channels", json=body)) == faults


async def test_a_webhook_asks_for_events_of_tasks_by_their_exact_names(ada: Person) -> None:
    """What is no such name is told by its place; no other events than these can be asked for."""
    completed, created = "taskflow.task.completed", "taskflow.task.created"
    channel = await make(ada, event_types=[created, completed, created])
    assert channel["event_types"] == [completed, created]
    below = f"/channels/{channel['id']}"
    changed = read(await ada.ask("PATCH", below, json={"event_types": list(WEBHOOK_TYPES)}))
    assert changed["event_types"] == sorted(WEBHOOK_TYPES)
    names = [created, "taskflow.task.*", "taskflow.notification.sent", "taskflow.channel.off"]
    for answer in (
        await ada.ask("PATCH", below, json={"event_types": names}),
        await ada.ask("POST", "/channels", json={"kind": "webhook", "event_types": names}),
    ):
        assert broken(answer) == [(f"/event_types/{n}", "one_of") for n in (1, 2, 3)]


async def test_an_email_tells_of_reminders_alone(ada: Person, world: World) -> None:
    """When it is made, and when it is changed."""
    types = [REMINDER_DUE, "taskflow.task.created"]
    answer = await ada.ask("POST", "/channels", json={"kind": "email", "event_types": types})
    assert broken(answer) == [("/event_types/1", "one_of")]
    mail = await world.email(ada.id)
    answer = await ada.ask("PATCH", f"/channels/{mail.channel_id}", json={"event_types": types})
    assert broken(answer) == [("/event_types/1", "one_of")]


async def test_a_user_has_a_limited_number_of_channels(ada: Person, bob: Person) -> None:
    for _ in range(CHANNELS_MAX):
        await make(ada)
    body = {"kind": "webhook", "url": URL}
    problem(await ada.ask("POST", "/channels", json=body), 409, "conflict")
    await make(bob)


async def test_without_keys_webhooks_are_503_with_a_sentence_and_the_rest_works(
    database_url: str, world: World
) -> None:
    async with running_api(database_url) as api:
        ada = await api.person()
        body = {"kind": "webhook", "url": URL}
        told = problem(await ada.ask("POST", "/channels", json=body), 503, "unavailable")
        assert "CHANNEL_KEYS" in told["detail"]
        await world.remind(reminder(ada.id))
        assert len(await items(ada, "/notifications")) == 1


async def test_an_email_channel_needs_an_address_that_is_verified(
    ada: Person, world: World
) -> None:
    body = {"kind": "email"}
    problem(await ada.ask("POST", "/channels", json=body), 409, "conflict")
    assert (await ada.ask("POST", "/email/verification")).status_code == 202
    limited = await ada.ask("POST", "/email/verification")
    problem(limited, 429, "rate-limited")
    assert int(limited.headers["Retry-After"]) >= 1
    row = await world.database.fetchrow("SELECT id FROM mails")
    assert row is not None
    token = "a-token-that-came-by-mail"
    await world.database.fetch(
        "INSERT INTO mail_tokens VALUES ($1, $2, now() + interval '1 day')",
        sha256(token.encode()).digest(),
        row["id"],
    )
    client = ada.client
    wrong = await client.post("/api/auth/verify", json={"token": token + "x"})
    assert broken(wrong) == [("/token", "token")]
    right = await client.post("/api/auth/verify", json={"token": token})
    assert (right.status_code, read(right)) == (200, {"verified": True})
    assert broken(await client.post("/api/auth/verify", json={"token": token})) == [
        ("/token", "token")
    ]
    assert (await ada.ask("POST", "/email/verification")).status_code == 204
    channel = await make(ada, kind="email", url=None)
    assert (channel["url"], channel["secret"], channel["kind"]) == (None, None, "email")
    assert [item["kind"] for item in await items(ada, "/channels")] == ["email"]
