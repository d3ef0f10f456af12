"""Files of an instance: whole, private, and refused when they do not fit."""

import os
from pathlib import Path

import pytest

from streams.embedded.failure import EmbeddedError
from streams.embedded.files import read_secret, require_space, require_version, write_whole
from streams.embedded.jars import LOCK, Jar, fetch_jars, read_lock
from streams.embedded.lock import hold_lock, lock_holder


def test_a_file_is_for_its_owner_alone_and_leaves_no_draft(tmp_path: Path) -> None:
    write_whole(tmp_path / "deep" / "file", "text")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["file"]
    assert (tmp_path / "deep" / "file").stat().st_mode & 0o777 == 0o600


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    """32 random bytes, and the same ever after."""
    first = read_secret(tmp_path / "secret")
    assert len(bytes.fromhex(first)) == 32
    assert read_secret(tmp_path / "secret") == first
    assert read_secret(tmp_path / "other") != first


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    """It says how much is free, how much is needed, and what to set."""
    require_space(tmp_path)
    with pytest.raises(EmbeddedError, match=r"MiB free and \d+ MiB are needed: .*DATA_DIR"):
        require_space(tmp_path, bytes_min=1 << 60)


def test_another_version_is_one_sentence(tmp_path: Path) -> None:
    """A directory without a version is new, and any version may make it."""
    require_version(tmp_path / "VERSION", "2", "Kafka")
    (tmp_path / "VERSION").write_text("1\n")
    with pytest.raises(EmbeddedError, match="made by Kafka 1 and this is Kafka 2"):
        require_version(tmp_path / "VERSION", "2", "Kafka")


def test_a_directory_has_one_holder(tmp_path: Path) -> None:
    """Whoever comes second is told who is first; after the first, it is free."""
    assert lock_holder(tmp_path) is None
    with hold_lock(tmp_path):
        assert lock_holder(tmp_path) == os.getpid()
        with pytest.raises(EmbeddedError, match=f"process {os.getpid()}"), hold_lock(tmp_path):
            pass
    assert lock_holder(tmp_path) is None
    with hold_lock(tmp_path):
        pass


def test_the_lock_file_names_every_jar_with_its_hash() -> None:
    jars = read_lock(LOCK.read_text())
    assert len({jar.file_name for jar in jars}) == len(jars) == 45
    assert all(len(bytes.fromhex(jar.sha256)) == 32 for jar in jars)
    assert [jar.version for jar in jars if jar.artifact == "kafka_2.13"] == ["4.4.0"]
    assert read_lock("# why\ng:a:1 00\n") == [Jar("g", "a", "1", "00")]


def test_jars_that_are_there_are_not_fetched(tmp_path: Path) -> None:
    """The second start asks nobody."""
    told: list[str] = []
    for jar in read_lock(LOCK.read_text()):
        (tmp_path / jar.file_name).touch()
    assert len(fetch_jars(tmp_path, told.append)) == 45
    assert told == []


def test_a_folder_that_others_could_read_is_closed_before_secrets_are_put_into_it(
    tmp_path: Path,
) -> None:
    """The new one and one that was there before."""
    (tmp_path / "old").mkdir(mode=0o755)
    for name in ("old", "new"):
        with hold_lock(tmp_path / name):
            assert (tmp_path / name).stat().st_mode & 0o777 == 0o700
            assert (tmp_path / name / "lock").stat().st_mode & 0o777 == 0o600
