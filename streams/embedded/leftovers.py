"""Leftovers: what an instance whose supervisor was killed has left running, found by a mark."""

import os
from pathlib import Path

import psutil

MARK = "TASKFLOW_INSTANCE"
"""Is in the environment of every process of an instance, with the instance's directory."""
END_S_MAX = 10.0


def mark_children(directory: Path) -> None:
    """Mark whatever this process starts from now on; itself it is not marked."""
    os.environ[MARK] = str(directory.absolute())


def end_leftovers(directory: Path) -> int:
    """Kill every process that carries a directory's mark, and give how many there were.

    They may be killed at any moment anyway, and what they were doing is done again. A PostgreSQL
    server writes its title over its environment, and is known by its pid file instead.
    """
    found = [process for process in psutil.process_iter() if _is_marked(process, directory)]
    for process in found:
        try:
            process.kill()
        except psutil.Error:
            continue
    psutil.wait_procs(found, END_S_MAX)
    return len(found)


def _is_marked(process: psutil.Process, directory: Path) -> bool:
    try:
        return (
            process.pid != os.getpid()
            and process.environ().get(MARK) == str(directory.absolute())
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except (psutil.Error, OSError):
        return False
