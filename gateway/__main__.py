"""`python -m gateway` runs the gateway until SIGTERM or SIGINT."""

import asyncio
import signal
import sys

from gateway.server import CannotListenError, open_gateway
from schemas.settings import MissingSettingError, Settings, TransportKind, load_settings
from streams.observability.logs import configure_logging
from streams.transport.opening import open_transport


async def run(settings: Settings) -> None:
    """Serve until a signal comes, then close every client with 4001 and return."""
    if settings.transport is TransportKind.KAFKA:
        settings.required_bootstrap_servers()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_transport(settings) as transport, open_gateway(settings, transport):
        await stop.wait()


def main() -> None:
    """Run; end with one sentence and status 1 if a setting or the port is not to be had."""
    settings = load_settings()
    configure_logging(settings)
    try:
        asyncio.run(run(settings))
    except (MissingSettingError, CannotListenError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
