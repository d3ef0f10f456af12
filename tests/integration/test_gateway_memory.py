"""What a connection leaves behind when it is gone."""

import gc
from collections.abc import Callable, Iterator
from uuid import uuid4
from weakref import ref

import pytest
from websockets.asyncio.client import ClientConnection

from schemas.frames import Close
from tests.integration.gateway_world import closed, hello, until, world


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Let no cycle of objects be found."""
    gc.disable()
    yield
    gc.enable()


def cut_off(client: ClientConnection) -> None:
    client.transport.abort()


def end_half(client: ClientConnection) -> None:
    client.transport.write_eof()


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("leave", [cut_off, end_half])
async def test_a_client_that_goes_leaves_nothing_to_the_garbage_collector(
    leave: Callable[[ClientConnection], None],
) -> None:
    """So the collector may run as rarely as the process likes."""
    async with world() as here:
        client = await here.connect(uuid4()).__aenter__()
        await hello(client)
        kept = [ref(one.wire.protocol) for one in here.running.gateway.connections]
        leave(client)
        await until(lambda: kept[0]() is None)
        client.transport.abort()


@pytest.mark.usefixtures("no_collector")
async def test_a_client_that_is_closed_leaves_nothing_to_the_garbage_collector() -> None:
    """The same where the gateway ends it."""
    async with world() as here, here.connect(uuid4()) as client:
        await hello(client)
        kept = [ref(one.wire.protocol) for one in here.running.gateway.connections]
        here.running.gateway.hub.end_all(Close.REVOKED)
        assert await closed(client) == (4106, "revoked")
        await until(lambda: kept[0]() is None)
