"""How a webhook is signed: Standard Webhooks, with HMAC-SHA256 over id, instant and body."""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from secrets import token_bytes
from uuid import UUID

SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
_SECRET_BYTES = 32


def new_secret() -> str:
    """Make a secret; a receiver's library takes it as it is."""
    return SECRET_PREFIX + b64encode(token_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    secrets: Sequence[str], message_id: UUID, now: datetime, body: bytes
) -> Mapping[str, str]:
    """Give the three headers; with several secrets, a receiver may know any one of them."""
    stamp = str(int(now.timestamp()))
    signed = b".".join((str(message_id).encode(), stamp.encode(), body))
    return {
        "webhook-id": str(message_id),
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(_signature(secret, signed) for secret in secrets),
    }


def _signature(secret: str, signed: bytes) -> str:
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    return "v1," + b64encode(hmac.new(key, signed, sha256).digest()).decode()
