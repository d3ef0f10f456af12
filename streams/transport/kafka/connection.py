"""How to reach the brokers, and how long to wait for them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import KafkaError

from schemas.settings import Settings
from streams.transport.interface import TransportUnavailableError

WAIT_S_MAX = 12.0
"""The longest that any call waits for the log, but for a read, which brings its own limit."""
REQUEST_S_MAX = 5.0
"""After this a connection is given up for a new one: a broker that was stopped may have moved."""


@dataclass(frozen=True, slots=True)
class Connection:
    """The brokers of one deployment, and the prefix that its names have there."""

    settings: Settings

    @property
    def prefix(self) -> str:
        """What topics and groups are called on the brokers begins with this."""
        return self.settings.kafka_topic_prefix

    def topic_name(self, topic: str) -> str:
        """Give a topic's name on the brokers."""
        return self.prefix + topic

    def options(self) -> dict[str, Any]:
        """Give the keyword arguments that every client of aiokafka takes, of its many types."""
        settings = self.settings
        options: dict[str, Any] = {
            "bootstrap_servers": settings.required_bootstrap_servers(),
            "client_id": "taskflow",
            "request_timeout_ms": int(REQUEST_S_MAX * 1000),
            "metadata_max_age_ms": 30_000,
            "security_protocol": settings.kafka_security_protocol,
        }
        if settings.kafka_security_protocol in {"SSL", "SASL_SSL"}:
            options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_cafile)
        if settings.kafka_security_protocol.startswith("SASL"):
            password = settings.kafka_sasl_password
            options["sasl_mechanism"] = settings.kafka_sasl_mechanism
            options["sasl_plain_username"] = settings.kafka_sasl_username
            options["sasl_plain_password"] = password.get_secret_value() if password else None
        return options


@asynccontextmanager
async def answering(what: str, wait_s_max: float = WAIT_S_MAX) -> AsyncIterator[None]:
    """Raise `TransportUnavailableError` where the brokers refuse, or do not answer in time."""
    try:
        async with asyncio.timeout(wait_s_max):
            yield
    except TimeoutError as error:
        raise TransportUnavailableError(f"{what}: no answer in {wait_s_max:.0f} s") from error
    except (KafkaError, OSError) as error:
        raise TransportUnavailableError(f"{what}: {error}") from error
