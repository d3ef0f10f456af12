"""Opening the transport that the settings name."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import assert_never

from schemas.settings import Settings, TransportKind
from streams.transport.interface import Transport


@asynccontextmanager
async def open_transport(settings: Settings) -> AsyncIterator[Transport]:
    """Open the transport of the settings; nothing is connected before it is used."""
    transport = _transport(settings)
    try:
        yield transport
    finally:
        await transport.aclose()


def _transport(settings: Settings) -> Transport:
    match settings.transport:
        case TransportKind.KAFKA:
            # Late, so that a process with the log in memory loads no client of Kafka.
            from streams.transport.kafka.transport import KafkaTransport

            return KafkaTransport(settings)
        case TransportKind.MEMORY:
            from streams.transport.memory import MemoryTransport

            return MemoryTransport(settings)
        case _:
            assert_never(settings.transport)
