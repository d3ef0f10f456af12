"""What operators change is asked for, and written down before it is done."""

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from streams.operators.asking import RefusedError, ask
from streams.operators.logbook import logged, operator
from streams.operators.showing import as_json, as_table, as_text
from streams.store.database import Database, StoreError
from streams.store.operator_log import newest_entries


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Give the operator's end of a terminal that this process reads from."""
    own, other = os.openpty()
    with os.fdopen(other, "r") as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        yield own
    os.close(own)


@pytest.mark.parametrize(
    ("answer", "agrees"), [("y", True), ("Y", True), ("", False), ("n", False)]
)
def test_only_a_yes_is_a_yes(terminal: int, answer: str, agrees: bool) -> None:  # noqa: FBT001
    os.write(terminal, f"{answer}\n".encode())
    if agrees:
        ask("Go on?", yes=False)
    else:
        with pytest.raises(RefusedError, match="Nothing was done"):
            ask("Go on?", yes=False)


def test_without_a_terminal_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A yes that comes from a pipe is nobody's; `--yes` is somebody's."""
    reading, writing = os.pipe()
    os.write(writing, b"y\n")
    os.close(writing)
    with os.fdopen(reading) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(RefusedError, match="Add --yes"):
            ask("Go on?", yes=False)
        ask("Go on?", yes=True)


async def test_a_change_is_written_down_before_it_is_done_and_its_result_behind_it(
    database: Database,
) -> None:
    """A failure is a result; while it runs, and if it dies, there is none."""
    async with logged(database, "rewind", {"app": "audit", "to": "start"}) as outcome:
        (running,) = await newest_entries(database, 10)
        assert (running.command, running.result, running.ended_at) == ("rewind", None, None)
        outcome.result = "0: 10 to 0" + "x" * 5_000
    with pytest.raises(LookupError):
        async with logged(database, "pause", {}):
            raise LookupError("the reason")
    failed, done = await newest_entries(database, 10)
    assert failed.result == "failed: LookupError: the reason"
    assert (done.operator, done.arguments) == (operator(), {"app": "audit", "to": "start"})
    assert str(done.result).startswith("0: 10 to 0x")
    assert done.ended_at is not None


async def test_what_cannot_be_written_down_is_not_done(database: Database) -> None:
    await database.fetch("DROP TABLE operator_log")
    with pytest.raises(StoreError):
        async with logged(database, "pause", {}):
            pytest.fail("it was done")


def test_what_is_shown_acts_upon_no_terminal() -> None:
    """Escapes of a message's own are shown as what they are."""
    at = datetime(2027, 1, 31, 8, tzinfo=UTC)
    assert as_text("a\x1b[2Jb\nc") == "a�[2Jb�c"
    assert (as_text(None), as_text(True), as_text(2.25)) == ("-", "yes", "2.2")
    assert as_text(at) == "2027-01-31T08:00:00Z"
    assert as_json({"at": at, "id": UUID(int=1), "list": (1, None)}) == (
        '{"at":"2027-01-31T08:00:00Z","id":"00000000-0000-0000-0000-000000000001","list":[1,null]}'
    )
    assert as_table([{"a": 1, "b": "x"}, {"a": 100}], ["a", "b"]) == "a    b\n1    x\n100  -"
    assert as_json(datetime(2027, 1, 1, tzinfo=timezone(timedelta(hours=1)))) == (
        '"2026-12-31T23:00:00Z"'
    )
