"""One database with a clock of its own, for all seeds that are played here."""

from collections.abc import Iterator

import pytest

from tests.servers import Servers
from tests.simulation.server import Server, make_server


@pytest.fixture(scope="session")
def simulated(servers: Servers) -> Iterator[Server]:
    server = make_server(servers.postgres.make_database, servers.directory)
    yield server
    server.close()
