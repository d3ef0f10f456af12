"""Signatures are those of Standard Webhooks."""

from datetime import UTC, datetime
from uuid import UUID

from streams.domain.webhooks import _signature, new_secret, signed_headers

NOW = datetime(2027, 1, 1, tzinfo=UTC)


def test_the_signature_of_a_known_message_is_known() -> None:
    """The example of Svix's manual, from which the standard came."""
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    known = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert _signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", signed) == known


def test_with_two_secrets_there_are_two_signatures_each_as_if_alone() -> None:
    old, new = new_secret(), new_secret()
    both = signed_headers([new, old], UUID(int=1), NOW, b"{}")["webhook-signature"]
    alone = [signed_headers([s], UUID(int=1), NOW, b"{}")["webhook-signature"] for s in (new, old)]
    assert both.split(" ") == alone


def test_secrets_are_all_different_and_long() -> None:
    secrets = {new_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert all(secret.startswith("whsec_") and len(secret) == 50 for secret in secrets)
