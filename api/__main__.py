"""`python -m api`: runs the HTTP API."""

import sys

import uvicorn

from api.app import make_app
from schemas.settings import MissingSettingError, load_settings
from streams.observability.logs import configure_logging

DRAIN_S_MAX = 10
"""How long requests that are being answered may take after SIGTERM."""


def main() -> int:
    """Serve until SIGINT or SIGTERM, and give the process's exit code."""
    settings = load_settings()
    configure_logging(settings)
    try:
        settings.required_database_url()
        settings.required_jwt_secret()
    except MissingSettingError as error:
        print(error, file=sys.stderr)  # noqa: T201 - one sentence for who started it
        return 1
    uvicorn.run(
        make_app(settings),
        host=settings.api_host,
        port=settings.api_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN_S_MAX,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
