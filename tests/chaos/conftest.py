"""Fixtures of the campaigns."""

from pathlib import Path

import pytest

from schemas.settings import Settings
from streams.store.database import Database
from streams.transport.interface import Transport
from tests.chaos.campaign import Campaign
from tests.servers import Servers
from tests.stack import Stack


@pytest.fixture
def campaign(
    servers: Servers,
    settings: Settings,
    database: Database,
    transport: Transport,
    tmp_path: Path,
) -> Campaign:
    """Give a campaign with a database and topics of its own, and no process yet."""
    return Campaign(Stack(settings, tmp_path), servers, database, transport)
