"""One instance a directory: a lock that ends with the process that holds it, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from streams.embedded.failure import EmbeddedError

_NAME = "lock"


@contextmanager
def hold_lock(directory: Path) -> Iterator[None]:
    """Hold a directory's lock; raise the sentence that names the holder if it is taken.

    The kernel lets go of it (flock) when this process ends, also by SIGKILL. Children do not
    inherit it.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(PermissionError):  # of a folder that another user made for us
        directory.chmod(0o700)  # it may have been made by others, and holds secrets from now on
    descriptor = os.open(directory / _NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not _try_lock(descriptor):
            raise EmbeddedError(
                f"TaskFlow already runs in {directory} (process {lock_holder(directory)}):"
                " `make down` ends it."
            )
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def lock_holder(directory: Path) -> int | None:
    """Give the process that holds a directory's lock; None if nobody does."""
    file = directory / _NAME
    if not file.exists():
        return None
    with file.open("r+") as opened:
        if _try_lock(opened.fileno()):
            return None
        return int(opened.read().strip() or 0) or None


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
