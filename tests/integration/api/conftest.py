"""One API for all of these tests: each has users of its own, who see nothing of each other."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.api.world import Api, Person, running_api
from tests.servers import Servers


@pytest.fixture(scope="session")
async def api(servers: Servers, template: str) -> AsyncIterator[Api]:
    """Give a running API on a migrated database."""
    async with running_api(servers.postgres.make_database("api_tests", template)) as api:
        yield api


@pytest.fixture
async def ada(api: Api) -> Person:
    """Give a user without tasks."""
    return await api.person()


@pytest.fixture
async def bob(api: Api) -> Person:
    """Give another user."""
    return await api.person()


@pytest.fixture(scope="session")
async def fuzzer(api: Api) -> Person:
    """Give a user whose tasks may be anything, for tests that run many times."""
    return await api.person()
