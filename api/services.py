"""What handlers work with: opened by the lifespan, found through the request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from starlette.requests import Request

from api.passwords import Passwords
from schemas.addresses import Network as ProxyNetwork
from schemas.tokens import TokenKey
from streams.domain.addresses import Network
from streams.observability.health import Health
from streams.store.bell import Bell
from streams.store.database import Database
from streams.store.vault import Vault


@dataclass(frozen=True, slots=True)
class HookRules:
    """Where webhooks may go."""

    networks: Sequence[Network]
    allow_http: bool


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one API process."""

    database: Database
    bell: Bell
    key: TokenKey
    passwords: Passwords
    health: Health
    vault: Vault | None
    """None without CHANNEL_KEYS."""
    hook_rules: HookRules
    trusted_proxies: Sequence[ProxyNetwork]

    @staticmethod
    def now() -> datetime:
        """Give the instant, in UTC."""
        return datetime.now(UTC)


def services(request: Request) -> Services:
    """Give the services of the process that serves a request."""
    found = request.state.services
    if not isinstance(found, Services):
        raise TypeError("the lifespan puts the services into the state")
    return found
