"""How the API listens: HTTP/1.1 alone, to so many connections at a time."""

from functools import partial

import uvicorn

from api.app import make_app
from api.crowd import Crowd
from api.protocol import Protocol
from schemas.settings import Settings
from streams.observability.open_files import room_for_clients

DRAIN_S_MAX = 10
"""How long requests that are being answered may take after SIGTERM."""


def make_server(settings: Settings) -> uvicorn.Server:
    """Make the server of the API; it listens when it is run."""
    crowd = Crowd(room_for_clients(settings.api_connections_max))
    config = uvicorn.Config(
        make_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        http=partial(Protocol, crowd),  # type: ignore[arg-type] # it only calls it
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S_MAX,
    )
    return uvicorn.Server(config)
