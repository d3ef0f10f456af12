"""What people read: each message as text and as HTML, with everything of theirs escaped."""

from dataclasses import dataclass
from datetime import datetime
from html import escape
from string import Template
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from schemas.events import DueReminder
from schemas.tasks import Task

TITLE_CHARS_MAX, BODY_CHARS_MAX = 600, 1_000

_TEXT = Template("$title\n\n$body\n\n-- \nTaskFlow\n")
_HTML = Template(
    "<!doctype html>\n"
    '<html lang="en"><head><meta charset="utf-8"><title>$title</title></head>\n'
    '<body style="font-family: sans-serif"><h1 style="font-size: 1.2em">$title</h1>\n'
    '<p style="white-space: pre-line">$body</p>\n'
    "<hr><p>TaskFlow</p></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class Message:
    """A title, which is one line, and a body; both are plain text."""

    title: str
    body: str

    @property
    def text(self) -> str:
        """The whole message as text."""
        return _TEXT.substitute(title=self.title, body=self.body)

    @property
    def html(self) -> str:
        """The whole message as HTML."""
        return _HTML.substitute(title=escape(self.title), body=escape(self.body))


def reminder_message(reminder: DueReminder, timezone: str) -> Message:
    """Tell that a task is to be remembered, with instants as the user's clock shows them."""
    task = reminder.task
    lines = [f"You asked to be reminded at {_shown(reminder.remind_at, timezone)}."]
    if task.due_date is not None:
        lines.append(f"It is due on {task.due_date.isoformat()}.")
    if reminder.late:
        fired = _shown(reminder.fired_at, timezone)
        lines.append(f"This comes late, at {fired}: the server could not tell you earlier.")
    return _message(f"Reminder: {task.title}", "\n".join(lines))


def kept_message(reopened: Task, successor: Task) -> Message:
    """Tell that a task was reopened and that the one that follows it stays beside it."""
    return _message(
        f"Both are kept: {reopened.title}",
        f"You reopened a task that recurs{_due(reopened)}. The one that follows it, "
        f"“{successor.title}”{_due(successor)}, has been changed since it was made, so it stays "
        "as it is.\nIf you need only one of them, delete the other.",
    )


def channel_test_message(channel: str) -> Message:
    """Tell that a channel works."""
    return _message("A test of TaskFlow", f"The channel “{channel}” works: this arrived.")


def off_message(channel: str, error: str) -> Message:
    """Tell that a channel was switched off."""
    return _message(
        f"Switched off: {channel}",
        f"Nothing arrived by this channel for a long time, so it was switched off. "
        f"The last error: {error}\nMend it, and switch it on again.",
    )


def full_message(channel: str, waiting_max: int) -> Message:
    """Tell that a channel was switched off, since it takes less than it is told."""
    return _message(
        f"Switched off: {channel}",
        f"Over {waiting_max:,} messages waited in this channel, so it was switched off, and they"
        " were given up. Mend it, or let it carry fewer kinds of events, and switch it on again.",
    )


def verification_message(token: str) -> Message:
    """Ask the owner of an address to prove it."""
    return _message(
        "Verify your address",
        "Somebody, likely you, wants TaskFlow to send mail to this address. If it was you, enter"
        f" this code within 24 hours:\n\n{token}\n\nIf it was not you, do nothing.",
    )


def reset_message(token: str) -> Message:
    """Let the owner of an address choose a new password."""
    return _message(
        "Choose a new password",
        "Somebody, likely you, asked for a new password of the account with this address. If it was"
        f" you, enter this code within an hour:\n\n{token}\n\nIf it was not you, do nothing: the"
        " password stays as it is.",
    )


def _message(title: str, body: str) -> Message:
    return Message(_one_line(title)[:TITLE_CHARS_MAX], body[:BODY_CHARS_MAX])


def _due(task: Task) -> str:
    return f", due on {task.due_date.isoformat()}" if task.due_date else ""


def _one_line(text: str) -> str:
    """Make one line of a text: a line break in a mail's subject would begin another header."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _shown(instant: datetime, timezone: str) -> str:
    try:
        zone = ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError):
        zone = ZoneInfo("UTC")
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")
