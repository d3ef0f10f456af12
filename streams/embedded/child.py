"""A child process: in a session of its own, so that only the supervisor hears Ctrl-C."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from streams.embedded.failure import EmbeddedError

_LOOK_S = 0.05


class Child:
    """One run of a server, whose output goes to a log file."""

    def __init__(
        self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own command, and no shell
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], bool], limit_s: float) -> None:
        """Return when it is ready; raise the sentence that names its log if it is not in time."""
        until = time.monotonic() + limit_s
        while not ready():
            if not self.is_alive:
                raise EmbeddedError(f"The server ended while it started: see {self._log}.")
            if time.monotonic() > until:
                self.kill()
                raise EmbeddedError(
                    f"The server did not start in {limit_s:.0f} s: see {self._log}."
                )
            time.sleep(_LOOK_S)

    def kill(self) -> None:
        """End it at once, with all that it started."""
        if self.is_alive:
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()

    def stop(self, number: signal.Signals, limit_s: float) -> None:
        """Ask it to end, and end it when the time is over."""
        if self.is_alive:
            self._process.send_signal(number)
        try:
            self._process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.kill()
