"""`python -m streams.relay`: runs a relay; two may run, and one of them leads."""

import asyncio
import logging
import os
import signal
import sys

from schemas.settings import MissingSettingError, Settings, load_settings
from streams.observability.health import Health
from streams.observability.health_port import health_port
from streams.observability.logs import configure_logging
from streams.relay.leadership import Leadership
from streams.relay.shipping import DeposedError, Shipping
from streams.store.database import open_database
from streams.transport.opening import open_transport

STOP_S_MAX = 2.0
"""How long a round in progress may take to end; its lease is renewed meanwhile."""

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
    ):
        leadership = Leadership(database, wake.set)
        shipping = Shipping(database, transport, leadership, wake)
        checks = {"database": database.check, "log": transport.check, "outbox": shipping.check}
        async with health_port(settings, Health(checks)):
            await _relay(leadership, shipping, stopping)


async def _relay(leadership: Leadership, shipping: Shipping, stopping: asyncio.Event) -> None:
    async with asyncio.TaskGroup() as tasks:
        leading = tasks.create_task(leadership.keep())
        running = tasks.create_task(shipping.run())
        watching = tasks.create_task(_end_when_deposed(shipping))
        await stopping.wait()
        _log.info("stopping")
        shipping.stop()
        await asyncio.wait({running}, timeout=STOP_S_MAX)
        for task in (running, leading, watching):
            task.cancel()
    if shipping.settled:
        await leadership.give_up()


async def _end_when_deposed(shipping: Shipping) -> None:
    try:
        await shipping.watch()
    except DeposedError as error:
        _log.critical("ended: %s", error)
        logging.shutdown()
        # Not in good order: closing would wait for the very batch that must not be sent now.
        os._exit(1)


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
