"""A database that does not answer: its server's processes are stopped, and woken afterwards."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tests.servers import Servers


@contextmanager
def frozen(servers: Servers, database: str) -> Iterator[None]:
    """Stop the processes that serve one database, and the one that would make new ones."""
    root = psutil.Process(servers.postgres.pid)
    tree = [root, *root.children(recursive=True)]
    commands = [(process.pid, " ".join(process.cmdline())) for process in tree]
    pids = [pid for pid, line in commands if f" {database} " in line or " -D " in line]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
