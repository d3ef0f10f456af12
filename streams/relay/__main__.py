"""`python -m streams.relay`: runs a relay; two may run, and one of them leads."""

import asyncio
import logging
import signal
import sys

from schemas.settings import MissingSettingError, Settings, load_settings
from streams.observability.health import Health
from streams.observability.health_port import health_port
from streams.observability.logs import configure_logging
from streams.relay.leadership import Leadership
from streams.relay.shipping import Shipping
from streams.store.database import open_database
from streams.transport.opening import open_transport

_log = logging.getLogger("streams.relay")


async def run(settings: Settings) -> None:
    """Relay until SIGINT or SIGTERM."""
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    wake = asyncio.Event()
    async with (
        open_database(settings.required_database_url(), pool_size=4) as database,
        open_transport(settings) as transport,
        health_port(settings, Health({"database": database.check, "log": transport.check})),
        asyncio.TaskGroup() as tasks,
    ):
        leadership = Leadership(database, wake.set)
        shipping = Shipping(database, transport, leadership, wake)
        running = [tasks.create_task(leadership.keep()), tasks.create_task(shipping.run())]
        await stopping.wait()
        _log.info("stopping")
        for task in reversed(running):
            task.cancel()


def main() -> int:
    """Give the process's exit code."""
    settings = load_settings()
    configure_logging(settings)
    try:
        asyncio.run(run(settings))
    except MissingSettingError as error:
        print(error, file=sys.stderr)  # noqa: T201 - one sentence for who started it
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
