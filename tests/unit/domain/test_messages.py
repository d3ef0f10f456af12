"""What people read is theirs, escaped, on their clock, and never begins another header."""

from collections.abc import Callable
from datetime import UTC, datetime
from html.parser import HTMLParser
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events import DueReminder
from streams.channels.mail import compose
from streams.domain.messages import (
    BODY_CHARS_MAX,
    TITLE_CHARS_MAX,
    Message,
    full_message,
    off_message,
    reminder_message,
    reset_message,
    verification_message,
)
from tests.unit.schemas.samples import task_json

NOW = datetime(2027, 1, 31, 8, tzinfo=UTC)
EVIL = '<script>alert("x")</script>\r\nBcc: all@example.org ${title} $body'


def reminder(title: str, *, late: bool = False) -> DueReminder:
    data = {"task": task_json(title=title), "remind_at": NOW, "fired_at": NOW, "late": late}
    return DueReminder.model_validate(data)


def test_a_reminder_is_told_on_the_users_clock_and_says_if_it_is_late() -> None:
    on_time = reminder_message(reminder("Pay rent"), "America/Sao_Paulo")
    assert on_time.title == "Reminder: Pay rent"
    assert "2027-01-31 05:00" in on_time.body
    assert "late" not in on_time.body
    assert "late" in reminder_message(reminder("Pay rent", late=True), "UTC").body
    assert "08:00 UTC" in reminder_message(reminder("x"), "No/Such").body


class Tags(HTMLParser):
    """Collects what begins in a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert all(name in {"lang", "charset", "style"} for name, _ in attrs)
        self.found.append(tag)


def tags(html: str) -> list[str]:
    parser = Tags()
    parser.feed(html)
    return parser.found


PLAIN = tags(Message("title", "body").html)


@given(st.text(min_size=1, max_size=500).filter(lambda text: text.strip()))
def test_no_title_makes_a_tag_or_a_second_header(title: str) -> None:
    message = reminder_message(reminder(title), "UTC")
    assert tags(message.html) == PLAIN
    assert len(message.title.splitlines()) == 1
    mail = compose(message, "taskflow@example.org", "ada@example.org", UUID(int=1), NOW)
    again = mail.as_bytes().decode(errors="replace").partition("\n\n")[0]
    assert "\nBcc" not in again
    assert mail["Subject"] == message.title or not message.title.isascii()


def test_what_an_attacker_writes_is_text() -> None:
    message = reminder_message(reminder(EVIL), "UTC")
    assert tags(message.html) == PLAIN
    assert "&lt;script&gt;" in message.html
    assert "${title} $body" in message.text
    mail = compose(message, "taskflow@example.org", "ada@example.org", UUID(int=1), NOW)
    assert mail.keys().count("Bcc") == 0


@pytest.mark.parametrize("tell", [verification_message, reset_message])
def test_a_mail_has_both_forms_and_its_key(tell: Callable[[str], Message]) -> None:
    message = tell("the-token")
    assert tags(tell(EVIL).html) == PLAIN
    mail = compose(message, "taskflow@example.org", "ada@example.org", UUID(int=7), NOW)
    assert mail["Message-ID"] == f"<{UUID(int=7)}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    for kind in ("plain", "html"):
        body = mail.get_body((kind,))
        assert body is not None
        assert "the-token" in body.get_content()


def test_messages_fit_their_columns() -> None:
    for long in (off_message("n" * 100, "e" * 5_000), full_message("n" * 5_000, 10_000)):
        assert len(long.title) <= TITLE_CHARS_MAX
        assert len(long.body) <= BODY_CHARS_MAX
    assert "Over 10,000 messages" in full_message("home", 10_000).body
