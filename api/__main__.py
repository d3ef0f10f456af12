"""`python -m api`: runs the HTTP API."""

import signal
import sys
from contextlib import suppress

from api.serving import make_server
from schemas.settings import MissingSettingError, load_settings
from streams.observability.logs import configure_logging


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
    server = make_server(settings)
    # Uvicorn ends in good order, and then raises the signal again: SIGTERM would end the process
    # as if nobody had listened.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):
        server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
