"""Kafka's jars: those of the lock file, from Maven Central, each with the hash it must have."""

import hashlib
import logging
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from streams.embedded.failure import EmbeddedError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

LOCK = Path(__file__).with_name("jars.lock")
AT_A_TIME = 4

Progress = Callable[[str], None]
"""Is told, in a few words, how far a long step has come."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock file."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The name under which it is kept."""
        return f"{self.artifact}-{self.version}.jar"


def read_lock(text: str) -> Sequence[Jar]:
    """Read the lock file: `group:artifact:version sha256` a line, `#` for comments."""
    return [_read_line(line) for line in text.splitlines() if line and not line.startswith("#")]


def _read_line(line: str) -> Jar:
    coordinate, sha256 = line.split()
    group, artifact, version = coordinate.split(":")
    return Jar(group, artifact, version, sha256)


def fetch_jars(directory: Path, progress: Progress) -> Sequence[Path]:
    """Give the paths of all jars, fetching those that are missing.

    A jar is put in its place whole, and only with the right hash: an interrupted run leaves nothing
    that a later one would take for a jar.
    """
    jars = read_lock(LOCK.read_text())
    missing = [jar for jar in jars if not (directory / jar.file_name).exists()]
    if missing:
        _fetch(missing, directory, progress)
    return [directory / jar.file_name for jar in jars]


def _fetch(missing: Sequence[Jar], directory: Path, progress: Progress) -> None:
    with warnings.catch_warnings():
        # It looks for a desktop's folders while it is imported, and warns that there are none.
        warnings.simplefilter("ignore")
        from jgo.maven import MavenContext
    directory.mkdir(parents=True, exist_ok=True)
    logging.getLogger("jgo").setLevel(logging.ERROR)
    with TemporaryDirectory(dir=directory) as drafts, ThreadPoolExecutor(AT_A_TIME) as pool:
        context = MavenContext(repo_cache=Path(drafts))
        work = [pool.submit(_fetch_one, context, jar, directory) for jar in missing]
        try:
            for count, done in enumerate(work, start=1):
                done.result()
                progress(f"Kafka: {count} of {len(missing)} jars")
        finally:
            # After a failure or Ctrl-C, those that have not begun are not wanted any more.
            pool.shutdown(wait=False, cancel_futures=True)


def _fetch_one(context: "MavenContext", jar: Jar, directory: Path) -> None:
    component = context.project(jar.group, jar.artifact).at_version(jar.version)
    try:
        found = Path(component.artifact(packaging="jar").resolve())
    except (OSError, RuntimeError) as error:
        raise EmbeddedError(
            f"{jar.file_name} could not be fetched from Maven Central: {error}."
            " Check the network and start again, or set KAFKA_BOOTSTRAP_SERVERS."
        ) from error
    if hashlib.sha256(found.read_bytes()).hexdigest() != jar.sha256:
        raise EmbeddedError(f"{jar.file_name} is not the file that {LOCK.name} names: not used.")
    draft = directory / f"{jar.file_name}.draft"
    copyfile(found, draft)
    draft.replace(directory / jar.file_name)
