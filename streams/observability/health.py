"""Health never lies: a process is ready when each of its checks has just succeeded."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from schemas import codec

CHECK_S_MAX = 2.0
"""A dependency that takes longer than this to answer is not there for a caller either."""

LIVE = codec.encode({"status": "ok"})

Check = Callable[[], Awaitable[str | None]]
"""Returns if all is well, with a word that is shown instead of "ok" if there is one; raises what is
wrong, and the exception's class name is shown."""

_log = logging.getLogger(__name__)


class NotReadyError(Exception):
    """A process's own reason not to be ready; its text is shown to whoever asks."""


@dataclass(frozen=True, slots=True)
class Health:
    """The named checks of one process."""

    checks: Mapping[str, Check] = field(default_factory=dict)

    async def ready(self) -> tuple[bool, bytes]:
        """Run all checks side by side; give whether all are well, and the JSON to answer."""
        results = await asyncio.gather(*(_result(check) for check in self.checks.values()))
        well = all(is_well for is_well, _ in results)
        status = "ready" if well else "not_ready"
        checks = dict(zip(self.checks, (word for _, word in results), strict=True))
        return well, codec.encode({"status": status, "checks": checks})


async def _result(check: Check) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(CHECK_S_MAX):
            word = await check()
    except NotReadyError as error:
        return False, str(error)
    except Exception as error:  # noqa: BLE001 - whatever a check raises is why we are not ready
        _log.info("a health check failed: %s", error, exc_info=error)
        return False, type(error).__name__
    return True, word or "ok"
