"""The one door to Faust: an app whose only agent hands raw records to the processor.

Faust finds the partitions and brings the records; it is not trusted with more. Its own commits
follow what was done, and are for lag tools only. What it does when left alone is kept as tests, in
tests/integration/test_faust_behaviour.py.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from threading import Timer
from typing import Any, cast

import faust
from faust.app.base import BootStrategy
from faust.streams import Stream
from faust.types import EventT, StreamT
from faust.types.core import HeadersArg
from mode import CrashingSupervisor
from mode.utils.locks import Event

from schemas.settings import MissingSettingError, Settings, load_settings
from streams.effects.faust_settings import configuration
from streams.effects.operator_commands import add_operator_commands
from streams.effects.processor import PAGE, Processor
from streams.effects.retrying import StoppingError, Trouble
from streams.effects.worker import Beside, Post, Worker
from streams.observability.health import Health
from streams.observability.health_port import health_port
from streams.store.database import open_database
from streams.transport.interface import Headers, Record, TransportError
from streams.transport.opening import open_transport

STOP_S_MAX = 6.0
"""After this a worker that was asked to stop is ended: its supervisor would wait no longer."""
BATCH_S = 0.02
"""How long a batch may wait for more events: less than anyone sees in an audit log."""
WATCH_S = 2.0
"""How often each partition is compared with the log, for events that Faust has lost."""

_log = logging.getLogger(__name__)


class _Boot(BootStrategy):
    """Starts no web server, whatever the command line says: it would show table data."""

    enable_web = False


class WorkerApp(faust.App):
    """A worker as a Faust app; what it needs is opened when it starts and closed when it ends."""

    BootStrategy = _Boot

    def __init__(self, worker: Worker, settings: Settings) -> None:
        prefix = settings.kafka_topic_prefix
        super().__init__(f"{prefix}taskflow-{worker.app}", **configuration(settings))
        self._worker = worker
        self._settings = settings
        self._resources = AsyncExitStack()
        self._processor: Processor | None = None
        self._channel = self.topic(
            prefix + worker.topic.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        self.agent(self._channel, name=worker.app, supervisor_strategy=CrashingSupervisor)(
            self._consume
        )
        self.task(self._watch)
        self._joined = Event()
        self._assigned: frozenset[int] = frozenset()
        self._wake = asyncio.Event()
        self.on_partitions_assigned.connect(self._note_assignment)
        self._beside_trouble = Trouble()
        self._partition_count = 0

    @property
    def processor(self) -> Processor:
        """The processor of an app that was started."""
        if self._processor is None:
            raise RuntimeError("the app was not started")
        return self._processor

    async def on_first_start(self) -> None:
        """Make the folder that Faust wants for its tables; it makes only the last part of it."""
        self.conf.datadir.parent.mkdir(parents=True, exist_ok=True)
        await super().on_first_start()

    async def on_start(self) -> None:
        """Open what the worker needs, and wait for its topic: Faust ignores a missing one."""
        enter = self._resources.enter_async_context
        database = await enter(open_database(self._settings.required_database_url(), pool_size=5))
        transport = await enter(open_transport(self._settings))
        trouble = Trouble(reason="not in its group yet")
        self._processor = Processor(self._worker, database, transport, trouble)
        self._beside_trouble.stopping = trouble.stopping
        checks = {
            "database": database.check,
            "log": transport.check,
            "effects": self._processor.check,
        }
        if self._worker.beside is not None:
            checks["beside"] = self._beside_trouble.check
        await enter(health_port(self._settings, Health(checks)))
        try:
            await self._wait_for_topic()
        except StoppingError:
            return  # Faust starts nothing more of an app that was stopped meanwhile.
        if self._worker.beside is not None:
            # As a task of Faust's it would wait for the first sharing out of the partitions.
            self.add_future(self._work_beside(self._worker.beside))
        await super().on_start()

    async def on_stop(self) -> None:
        """End what waits, so that SIGTERM is held up by no retry and no broker that is away."""
        deadline = Timer(STOP_S_MAX, _cut_off)
        deadline.daemon = True
        deadline.start()
        if self._processor is not None:
            self._processor.trouble.stopping.set()
        self._wake.set()
        await super().on_stop()

    async def on_shutdown(self) -> None:
        """Close what was opened."""
        await super().on_shutdown()
        await self._resources.aclose()

    def _crash(self, reason: BaseException) -> None:
        """End the process at once, to be started again: nothing that is not committed is done.

        Faust's own way out of a crash waits for its consumer's thread, 40 s and more.
        """
        _log.critical("crashed: %r", reason, exc_info=reason)
        _end_process(1)

    async def _wait_for_topic(self) -> None:
        while True:
            try:
                extents = await self.processor.transport.extents(self._worker.topic.name)
                self._partition_count = len(extents)
                return
            except TransportError as error:
                reason = f"the log or the topic is not there: {error}"
                await self.processor.trouble.pause(reason)

    async def _note_assignment(self, *arguments: Any, **_: Any) -> None:
        """Note that the group has let this worker in; Faust types its signals' arguments as Any."""
        _sender, assigned = arguments
        numbers = sorted(place.partition for place in assigned)
        _log.info("works on the partitions %s of %s", numbers, self._worker.topic.name)
        self._assigned = frozenset(numbers)
        self._wake.set()
        self._joined.set()

    async def _work_beside(self, beside: Beside) -> None:
        """Run what the worker does beside its topic; it has no partitions yet."""
        post = Post(
            settings=self._settings,
            database=self.processor.database,
            trouble=self._beside_trouble,
            partition_count=self._partition_count,
            partitions=lambda: self._assigned,
            wake=self._wake,
        )
        try:
            await beside(post)
        except StoppingError:
            return

    async def _consume(self, stream: StreamT[bytes]) -> None:
        # Faust yields the events themselves here, where its types say values.
        async for events in cast("Stream[EventT[bytes]]", stream).noack_take(PAGE, within=BATCH_S):
            try:
                await self.processor.process(self._records(events))
            except StoppingError:
                return
            for event in events:
                event.ack()

    async def _watch(self) -> None:
        await self.wait(self._joined)
        while not self.should_stop:
            try:
                await self.processor.catch_up(self._partitions())
            except StoppingError:
                return
            await self.sleep(WATCH_S)

    def _partitions(self) -> Sequence[int]:
        if self.rebalancing:
            return ()
        return [place.partition for place in self.consumer.assignment()]

    def _records(self, events: Sequence[EventT[bytes]]) -> Sequence[Record]:
        return [
            Record(
                topic=self._worker.topic.name,
                partition=message.partition,
                offset=message.offset,
                key=message.key,
                value=message.value,
                headers=_pairs(message.headers),
                timestamp_ms=int(message.timestamp * 1000),
            )
            for message in (event.message for event in events)
        ]


def _pairs(headers: HeadersArg | None) -> Headers:
    if isinstance(headers, Mapping):
        return tuple(headers.items())
    return tuple(headers or ())


def _cut_off() -> None:
    """End as asked, though something does not answer: what was not committed is not done."""
    _log.warning("ended without waiting for what does not answer")
    _end_process(0)


def _end_process(code: int) -> None:
    logging.shutdown()
    os._exit(code)


def faust_app(worker: Worker) -> WorkerApp:
    """Make the app that `faust -A` runs, with an operator's commands.

    Nothing is connected before it is started. A setting that is missing ends the process with the
    sentence that names it.
    """
    try:
        app = WorkerApp(worker, load_settings())
        add_operator_commands(worker, load_settings())
        return app
    except MissingSettingError as error:
        raise SystemExit(str(error)) from error
