"""A real `taskflow up` in a folder of its own: started, watched, signalled and ended by tests."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import psutil

from streams.embedded.leftovers import MARK
from tests.servers import JARS
from tests.stack import free_port

UP = "Ctrl-C ends it."
START_S_MAX = 90.0
END_S_MAX = 40.0
TASKFLOW = (sys.executable, "-m", "streams.cli")


@dataclass
class Up:
    """One run of `taskflow up`; its output is collected while it runs."""

    environment: Mapping[str, str]
    directory: Path
    lines: list[str] = field(default_factory=list)
    _process: subprocess.Popen[str] | None = None
    _reading: threading.Thread | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def start(self) -> "Up":
        self.lines.clear()
        self._process = subprocess.Popen(
            [*TASKFLOW, "up"],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        return self

    def wait_until_up(self) -> "Up":
        wait(lambda: UP in self.output or self.process.poll() is not None, START_S_MAX, "it is up")
        assert UP in self.output, self.output
        return self

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal to the supervisor alone, and give its exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        code = self.process.wait(END_S_MAX)
        assert self._reading is not None
        self._reading.join(END_S_MAX)
        return code

    def run(self, *words: str, answer: str | None = None) -> "subprocess.CompletedProcess[str]":
        """Run another `taskflow` command in the same folder."""
        return subprocess.run(
            [*TASKFLOW, *words],
            env=dict(self.environment),
            input=answer,
            capture_output=True,
            text=True,
            check=False,
            timeout=END_S_MAX,
        )

    def processes(self) -> list[psutil.Process]:
        """Give what runs of this instance, its supervisor not counted."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARK) == str(self.directory)
                postgres = str(self.directory) in " ".join(process.cmdline())
                if (marked or postgres) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return [process for process in found if process.pid != self.process.pid]

    def process_of(self, words: str) -> psutil.Process:
        """Give the one process whose command line has these words."""
        (found,) = [p for p in self.processes() if words in command_of(p)]
        return found

    def _read(self) -> None:
        stdout = self.process.stdout
        assert stdout is not None
        for line in stdout:
            self.lines.append(line)
        stdout.close()


def wait(condition: Callable[[], bool], limit_s: float, what: str) -> None:
    """Return as soon as the condition holds; fail when time is over."""
    until = monotonic() + limit_s
    while not condition():
        assert monotonic() < until, f"not within {limit_s:.0f} s: {what}"
        sleep(0.05)


@contextmanager
def folder(directory: Path) -> Iterator[Up]:
    """Give a run of `taskflow up` with ports and data of its own; whatever is left is ended."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "jars").symlink_to(JARS.absolute())
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **kept,
        "DATA_DIR": str(directory),
        "API_PORT": str(free_port()),
        "GATEWAY_PORT": str(free_port()),
    }
    up = Up(environment, directory)
    try:
        yield up
    finally:
        if up._process is not None and up.process.poll() is None:
            up.process.kill()
            up.wait()
        up.run("down")


def command_of(process: psutil.Process) -> str:
    """Give a process's command line; nothing of one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
