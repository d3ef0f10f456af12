"""What `taskflow doctor` sees of the disk: free space, and who may read secrets."""

import shutil
import stat
from collections.abc import Iterator
from os import environ
from pathlib import Path

from schemas.settings import ENV_FILE, INSTANCE_ENV_FILE, Settings
from streams.cli.findings import Finding, bad, ok, warn

FREE_GIB_BAD, FREE_GIB_WARN = 1, 5
"""A log of a few million events is a gibibyte; Kafka and PostgreSQL stop on a full disk."""
_GIB = 1024**3
FILES_MAX = 1_000


def look_at_files(settings: Settings) -> Iterator[Finding]:
    """Look at the disk that DATA_DIR is on, and at the files that may hold secrets."""
    yield _disk(settings.data_dir)
    found = [finding for path in _secret_files() for finding in _readable(path)]
    yield from found or [ok("secret files", "nobody else can read one")]


def _disk(folder: Path) -> Finding:
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    gib = shutil.disk_usage(place).free / _GIB
    text = f"{gib:.1f} GiB free for {folder}"
    cure = "free some, or set DATA_DIR to a larger one"
    if gib < FREE_GIB_BAD:
        return bad("disk", text, cure)
    return warn("disk", text, cure) if gib < FREE_GIB_WARN else ok("disk", text)


def _secret_files() -> Iterator[Path]:
    yield from (path for path in (Path(ENV_FILE), INSTANCE_ENV_FILE) if path.is_file())
    folder = environ.get("SECRETS_DIR")
    if folder and Path(folder).is_dir():
        files = (path for path in sorted(Path(folder).iterdir()) if path.is_file())
        yield from (path for path, _ in zip(files, range(FILES_MAX), strict=False))


def _readable(path: Path) -> Iterator[Finding]:
    mode = path.stat().st_mode
    cure = f"chmod 600 {path}"
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        yield bad("secret files", f"everybody on this machine can read or write {path}", cure)
    elif mode & (stat.S_IRGRP | stat.S_IWGRP):
        yield warn("secret files", f"the group of {path} can read or write it", cure)
