"""Files of an instance: written whole or not at all, and its secrets for its owner alone."""

import os
import secrets
import shutil
from pathlib import Path

from streams.embedded.failure import EmbeddedError

FREE_BYTES_MIN = 512 * 1_048_576
"""What the two servers write when they are new, several times over."""


def write_whole(path: Path, text: str) -> None:
    """Write a file for its owner alone; another process sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def read_secret(path: Path) -> str:
    """Give the secret that a file holds; made at random where there is none."""
    if not path.exists():
        write_whole(path, secrets.token_hex(32))
    return path.read_text().strip()


def require_space(directory: Path, bytes_min: int = FREE_BYTES_MIN) -> None:
    """Raise the sentence that tells how much is wanted if a directory's disk is nearly full."""
    directory.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(directory).free
    if free < bytes_min:
        raise EmbeddedError(
            f"The disk of {directory} has {free // 1_048_576} MiB free and"
            f" {bytes_min // 1_048_576} MiB are needed: make room, or set DATA_DIR."
        )


def require_version(file: Path, version: str, what: str) -> None:
    """Raise the sentence that tells what to do if a directory was made by another version."""
    found = file.read_text().strip() if file.exists() else version
    if found != version:
        raise EmbeddedError(
            f"{file.parent} was made by {what} {found} and this is {what} {version}:"
            " run the version of TaskFlow that made it, or `make reset` to begin anew."
        )
