"""A webhook over https arrives where its certificate is right, and its log says why it does not."""

from datetime import timedelta
from pathlib import Path

import pytest

from tests.authority import Authority, make_authority, self_signed
from tests.integration.notifications.receivers import receiving
from tests.integration.notifications.sending_world import World, reminder
from tests.waiting import eventually

NAME = "localhost"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return make_authority(tmp_path / "ours")


async def test_a_delivery_arrives_by_https(world: World, authority: Authority) -> None:
    async with (
        receiving(tls=authority.server(NAME)) as receiver,
        world.sending(webhook_ssl_cafile=authority.cafile, webhook_allow_http=False),
    ):
        hooked = await world.hook(receiver.url)
        await world.remind(reminder(hooked.user_id))
        (delivery,) = await world.settled(hooked, 1)
    assert receiver.url.startswith("https://localhost:")
    assert (delivery.state, delivery.attempts, delivery.maybe_repeated) == ("sent", 1, False)
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("another name", "is of another name"),
        ("expired", "has expired, or is not valid yet"),
        ("self-signed", "is signed by no authority that is trusted here"),
    ],
)
async def test_a_wrong_certificate_is_in_the_log_and_nothing_is_sent(
    world: World, authority: Authority, tmp_path: Path, fault: str, text: str
) -> None:
    """It is tried again later, as the receiver may mend it."""
    tls = {
        "another name": lambda: authority.server("other.example"),
        "expired": lambda: authority.server(NAME, ended_ago=timedelta(minutes=5)),
        "self-signed": lambda: self_signed(tmp_path, NAME),
    }[fault]()
    async with (
        receiving(tls=tls) as receiver,
        world.sending(webhook_ssl_cafile=authority.cafile),
    ):
        hooked = await world.hook(receiver.url)
        await world.remind(reminder(hooked.user_id))

        async def told() -> bool:
            return (await world.deliveries(hooked))[0].error is not None

        await eventually(told, 10, "an attempt has failed")
        (delivery,) = await world.deliveries(hooked)
    assert delivery.error == f"the receiver's certificate {text}"
    assert (delivery.state, delivery.maybe_repeated) == ("waiting", False)
    assert receiver.requests == []
