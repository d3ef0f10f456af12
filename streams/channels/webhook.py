"""Webhooks: the event's envelope, byte for byte, signed as Standard Webhooks has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from streams.channels.client import Answer, Client, RequestError
from streams.domain.deliveries import Failed, Outcome, Sent
from streams.domain.webhooks import signed_headers
from streams.store.channels import Hook, open_hook
from streams.store.sending import Parcel
from streams.store.vault import SealedError, Vault

_GONE = 410
_REDIRECTIONS = range(300, 400)
_SUCCESSES = range(200, 300)


@dataclass(frozen=True, slots=True)
class WebhookSender:
    """Posts events to their users' URLs."""

    client: Client
    vault: Vault | None

    async def send(self, parcel: Parcel) -> Outcome:
        """Post one event."""
        if self.vault is None or parcel.sealed is None:
            return Failed("the server has no CHANNEL_KEYS to read the URL with")
        try:
            hook = open_hook(self.vault, parcel.channel_id, parcel.sealed)
        except SealedError:
            return Failed("the server's CHANNEL_KEYS do not open the URL")
        now = datetime.now(UTC)
        body = parcel.event.encode()
        try:
            answer = await self.client.post(hook.url, _headers(hook, parcel, now, body), body)
        except RequestError as error:
            return Failed(str(error), maybe_arrived=error.maybe_arrived)
        return outcome_of(answer, now)


def _headers(hook: Hook, parcel: Parcel, now: datetime, body: bytes) -> Mapping[str, str]:
    return {
        "Content-Type": "application/json",
        "User-Agent": "TaskFlow-Webhooks/1",
        **signed_headers(valid_secrets(hook, now), parcel.delivery_id, now, body),
    }


def valid_secrets(hook: Hook, now: datetime) -> Sequence[str]:
    """Give the secrets to sign with: the new one, and the one before it for as long as it lives."""
    if hook.previous_secret and hook.previous_until and now < hook.previous_until:
        return [hook.secret, hook.previous_secret]
    return [hook.secret]


def outcome_of(answer: Answer, now: datetime) -> Outcome:
    """Read a receiver's answer: only 2xx is a yes."""
    status = answer.status
    if status in _SUCCESSES:
        return Sent(status)
    if status in _REDIRECTIONS:
        return Failed(f"the receiver redirects ({status}), which is not followed", status)
    return Failed(
        f"the receiver answered {status}",
        status,
        retry_after=_retry_after(answer.retry_after, now),
        gone=status == _GONE,
    )


def _retry_after(text: str | None, now: datetime) -> timedelta | None:
    """Read the two forms of RFC 9110, section 10.2.3; None for anything else."""
    if text is None:
        return None
    if text.isdecimal() and text.isascii():
        return timedelta(seconds=min(int(text[:9]), 10**6))
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(at.replace(tzinfo=at.tzinfo or UTC) - now, timedelta())
