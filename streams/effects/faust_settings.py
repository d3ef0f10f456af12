"""How Faust is set up: what it must not do by itself, and how soon it gives up a partition."""

import ssl
from typing import Any

import faust
from faust.types.auth import CredentialsT

from schemas.settings import Settings
from streams.observability.logs import logging_configuration

SESSION_S = 8.0
"""A worker that is stopped loses its partitions after this; with the rebalance, within 15 s."""
HEARTBEAT_S = 2.0
FETCH_BYTES_MAX = 4_194_304
"""Of one partition at a time. Faust waits up to 1.5 s between fetches, so a small one is slow."""
POLL_S_MAX = 86_400.0
"""A worker may wait for its database for a day without being taken for dead."""


def configuration(settings: Settings) -> dict[str, Any]:
    """Give the keyword arguments of `faust.App`, which are of as many types as there are."""
    servers = settings.required_bootstrap_servers().split(",")
    return {
        "broker": [f"kafka://{server.strip()}" for server in servers],
        "broker_credentials": _credentials(settings),
        "broker_session_timeout": SESSION_S,
        "broker_heartbeat_interval": HEARTBEAT_S,
        "broker_max_poll_interval": POLL_S_MAX,
        "consumer_group_instance_id": settings.consumer_instance_id,
        "consumer_auto_offset_reset": "earliest",
        "consumer_max_fetch_size": FETCH_BYTES_MAX,
        # The database may be away for long: a rebalance must not wait for what is in progress.
        "stream_wait_empty": False,
        # Topics are made by `taskflow topics`, with their own retention.
        "topic_allow_declare": False,
        "topic_disable_leader": True,
        "autodiscover": False,
        "datadir": settings.data_dir / "faust",
        "worker_redirect_stdouts": False,
        "logging_config": logging_configuration(settings),
    }


def _credentials(settings: Settings) -> CredentialsT | None:
    secured = settings.kafka_security_protocol in {"SSL", "SASL_SSL"}
    context = ssl.create_default_context(cafile=settings.kafka_ssl_cafile) if secured else None
    if settings.kafka_security_protocol.startswith("SASL"):
        password = settings.kafka_sasl_password
        return faust.SASLCredentials(
            mechanism=settings.kafka_sasl_mechanism,
            username=settings.kafka_sasl_username,
            password=password.get_secret_value() if password else None,
            ssl_context=context,
        )
    return faust.SSLCredentials(context) if context else None
