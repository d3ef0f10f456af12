"""One real Kafka and one real PostgreSQL for all tests of a lane, started when first asked for."""

import sys
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from streams.embedded.kafka import KafkaServer
from streams.embedded.postgres import PostgresServer

JARS = Path(".taskflow/jars")


class Servers:
    """The two servers, with fresh data in a folder that is removed when they are stopped."""

    def __init__(self) -> None:
        self.directory = Path(mkdtemp(prefix="taskflow-test-"))

    @cached_property
    def kafka(self) -> KafkaServer:
        server = KafkaServer(self.directory / "kafka", JARS)
        server.prepare(lambda done: print(done, file=sys.stderr))
        server.start()
        return server

    @cached_property
    def postgres(self) -> PostgresServer:
        server = PostgresServer(self.directory / "postgres")
        server.prepare()
        server.start()
        return server

    def stop(self) -> None:
        for name in ("kafka", "postgres"):
            if name in self.__dict__:
                # Nobody reads their data again: there is nothing to end in good order for.
                getattr(self, name).kill()
