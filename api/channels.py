"""Channels: where a user wants to be told; a secret is shown once, in the answer that made it."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer, page_answer, read_cursor, read_limit, write_cursor
from api.authentication import path_user
from api.etags import check_if_match, etag
from api.problems import invalid, not_found, unavailable
from api.requests import (
    MERGE_PATCH,
    parse_body,
    path_id,
    query_parameters,
    read_raw_body,
    single,
)
from api.services import Services, services
from schemas import codec
from schemas.ids import new_id
from schemas.notifications import (
    EMAIL_TYPES,
    Channel,
    ChannelCreate,
    ChannelKind,
    ChannelPatch,
    ChannelWithSecret,
)
from schemas.problems import FieldError, Problem, ProblemError
from streams.domain.addresses import url_fault
from streams.domain.webhooks import new_secret
from streams.store.channels import (
    CHANNELS_MAX,
    Hook,
    StoredChannel,
    TooManyChannelsError,
    delete_channel,
    find_channel,
    insert_channel,
    list_channels,
    lock_channel,
    open_hook,
    seal_hook,
    update_channel,
)
from streams.store.database import Session
from streams.store.deliveries import list_deliveries as list_stored_deliveries
from streams.store.mails import is_email_verified
from streams.store.queueing import queue_test
from streams.store.vault import SealedError, Vault

BOTH_SECRETS = timedelta(hours=24)
"""For so long after a rotation messages are signed with the old secret too."""
TEST_TYPE = "taskflow.channel.test"


async def list_all(request: Request) -> Response:
    """Show all channels of the user, the oldest first."""
    await read_raw_body(request)
    user_id = path_user(request)
    query_parameters(request, ())
    own = services(request)
    found = await list_channels(own.database, user_id)
    return page_answer([_shown(own, channel) for channel in found], None)


async def create(request: Request) -> Response:
    """Make a channel; the secret of a webhook is in this answer and in no other."""
    raw = await read_raw_body(request)
    user_id = path_user(request)
    body = parse_body(request, raw, ChannelCreate)
    own = services(request)
    types = _types(body.kind, body.event_types)
    channel_id, secret, sealed = new_id(), None, None
    if body.kind is ChannelKind.WEBHOOK:
        secret = new_secret()
        sealed = seal_hook(_vault(own), channel_id, Hook(_url(own, body.url), secret))
    else:
        _refuse_url(body.url)
        if not await is_email_verified(own.database, user_id):
            raise ProblemError(Problem.CONFLICT, "Verify the account's address first.")
    name = body.name or body.kind.value
    try:
        channel = await insert_channel(
            own.database, user_id, channel_id, body.kind, name, types, sealed
        )
    except TooManyChannelsError as error:
        detail = f"A user has at most {CHANNELS_MAX} channels."
        raise ProblemError(Problem.CONFLICT, detail) from error
    headers = {"Location": f"/api/{user_id}/channels/{channel_id}", "Cache-Control": "no-store"}
    return _answer(_with_secret(own, channel, secret), 201, headers)


async def read(request: Request) -> Response:
    """Show a channel."""
    await read_raw_body(request)
    channel = await _found(request)
    return _answer(_shown(services(request), channel))


async def patch(request: Request) -> Response:
    """Change what the client names."""
    raw = await read_raw_body(request)
    path_user(request)
    path_id(request, "channel_id")
    body = parse_body(request, raw, ChannelPatch, MERGE_PATCH)
    own = services(request)
    async with _held(request) as (session, channel):
        after = _patched(own, channel, body)
        check_if_match(request, channel.version, "channel")
        if after != channel:
            after = await update_channel(session, path_user(request), channel, after)
    own.bell.ring()
    return _answer(_shown(own, after))


def _patched(own: Services, channel: StoredChannel, body: ChannelPatch) -> StoredChannel:
    named = body.model_fields_set
    after = replace(
        channel,
        name=body.name if "name" in named else channel.name,
        event_types=_types(channel.kind, body.event_types)
        if "event_types" in named
        else channel.event_types,
        enabled=body.enabled if "enabled" in named else channel.enabled,
    )
    if "url" in named:
        if channel.kind is not ChannelKind.WEBHOOK:
            _refuse_url(body.url)
        hook = _hook(own, channel)
        if _url(own, body.url) != hook.url:
            sealed = seal_hook(_vault(own), channel.id, replace(hook, url=body.url))
            after = replace(after, sealed=sealed)
    return after


async def delete(request: Request) -> Response:
    """Delete a channel, and its log with it."""
    await read_raw_body(request)
    async with _held(request) as (session, channel):
        check_if_match(request, channel.version, "channel")
        await delete_channel(session, path_user(request), channel.id)
    return Response(status_code=204)


async def test(request: Request) -> Response:
    """Send a message that says that the channel works; the log shows what became of it."""
    await read_raw_body(request)
    channel = await _found(request)
    own = services(request)
    user_id, test_id, now = path_user(request), new_id(), own.now()
    event = {
        "specversion": "1.0",
        "id": str(test_id),
        "source": "/taskflow/api",
        "type": TEST_TYPE,
        "subject": str(channel.id),
        "time": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "datacontenttype": "application/json",
        "partitionkey": str(user_id),
        "data": {"channel_id": str(channel.id), "name": channel.name},
    }
    text = codec.encode(event).decode()
    if not await queue_test(own.database, user_id, channel.id, test_id, TEST_TYPE, text):
        detail = "The channel is switched off, or too much waits in it."
        raise ProblemError(Problem.CONFLICT, detail)
    found = await list_stored_deliveries(own.database, user_id, channel.id, None, 10)
    return json_answer(next(item for item in found if item.id == test_id), 202)


async def rotate(request: Request) -> Response:
    """Make a new secret; the old one is signed with too for `BOTH_SECRETS`."""
    await read_raw_body(request)
    own, secret = services(request), new_secret()
    async with _held(request) as (session, channel):
        if channel.kind is not ChannelKind.WEBHOOK:
            raise ProblemError(Problem.CONFLICT, "Only a webhook has a secret.")
        old = _hook(own, channel)
        hook = Hook(old.url, secret, old.secret, own.now() + BOTH_SECRETS)
        after = replace(channel, sealed=seal_hook(_vault(own), channel.id, hook))
        check_if_match(request, channel.version, "channel")
        after = await update_channel(session, path_user(request), channel, after)
    return _answer(_with_secret(own, after, secret), headers={"Cache-Control": "no-store"})


async def list_deliveries(request: Request) -> Response:
    """Show a page of what was sent by a channel, the newest first."""
    await read_raw_body(request)
    user_id, channel = path_user(request), await _found(request, {"limit", "cursor"})
    parameters = query_parameters(request, {"limit", "cursor"})
    limit = read_limit(single(parameters, "limit"))
    before = read_cursor(single(parameters, "cursor"))
    found = await list_stored_deliveries(
        services(request).database, user_id, channel.id, before, limit + 1
    )
    page, last = found[:limit], found[limit - 1 : limit]
    more = len(found) > limit
    return page_answer(page, write_cursor(last[0].created_at, last[0].id) if more else None)


async def _found(request: Request, parameters: set[str] | None = None) -> StoredChannel:
    user_id, channel_id = path_user(request), path_id(request, "channel_id")
    query_parameters(request, parameters or ())
    channel = await find_channel(services(request).database, user_id, channel_id)
    if channel is None:
        raise not_found()
    return channel


@asynccontextmanager
async def _held(request: Request) -> AsyncIterator[tuple[Session, StoredChannel]]:
    """Give the channel of the path, which nobody else changes until the context ends."""
    user_id, channel_id = path_user(request), path_id(request, "channel_id")
    query_parameters(request, ())
    async with services(request).database.transaction() as session:
        channel = await lock_channel(session, user_id, channel_id)
        if channel is None:
            raise not_found()
        yield session, channel


def _answer(channel: Channel, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return json_answer(channel, status, {"ETag": etag(channel.version)} | (headers or {}))


def _vault(own: Services) -> Vault:
    if own.vault is None:
        raise unavailable("The operator has set no CHANNEL_KEYS, which webhooks need.")
    return own.vault


def _hook(own: Services, channel: StoredChannel) -> Hook:
    try:
        return open_hook(_vault(own), channel.id, channel.sealed or "")
    except SealedError as error:
        raise unavailable("None of the operator's CHANNEL_KEYS opens this channel.") from error


def _url(own: Services, url: str | None) -> str:
    if url is None:
        raise invalid(FieldError(field="/url", rule="required", message="a webhook has a url"))
    rules = own.hook_rules
    fault = url_fault(url, rules.networks, allow_http=rules.allow_http)
    if fault is not None:
        raise invalid(FieldError(field="/url", rule="url", message=fault))
    return url


def _types(kind: ChannelKind, names: Sequence[str]) -> tuple[str, ...]:
    """Give each name once, in order; of what an email does not tell, name each."""
    if kind is ChannelKind.EMAIL:
        message = f"an email tells of {', '.join(EMAIL_TYPES)} alone"
        faults = [
            FieldError(field=f"/event_types/{index}", rule="one_of", message=message)
            for index, name in enumerate(names)
            if name not in EMAIL_TYPES
        ]
        if faults:
            raise invalid(*faults)
    return tuple(sorted(set(names)))


def _refuse_url(url: str | None) -> None:
    if url is not None:
        message = "an email goes to the account's address"
        raise invalid(FieldError(field="/url", rule="unknown_field", message=message))


def _shown(own: Services, channel: StoredChannel) -> Channel:
    is_hook = channel.kind is ChannelKind.WEBHOOK
    return Channel(
        url=_hook(own, channel).url if is_hook else None,
        **{name: getattr(channel, name) for name in Channel.model_fields if name != "url"},
    )


def _with_secret(own: Services, channel: StoredChannel, secret: str | None) -> ChannelWithSecret:
    return ChannelWithSecret(**_shown(own, channel).model_dump(), secret=secret)
