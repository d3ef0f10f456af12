"""What follows an attempt to deliver: done, again later, given up, or the channel is switched off.

Pure: how long ago things were is passed in, and so is the dice.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal
from uuid import UUID, uuid5

ERROR_CHARS_MAX = 500
WAITING_MAX = 10_000
"""Deliveries that wait in one channel, looked at after each batch of events. Over it the channel is
switched off: its receiver is slower than its events, or has been away for too many of them."""

WAITS = tuple(
    timedelta(seconds=seconds)
    for seconds in (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 25_200, 32_400)
)
"""After each failed attempt; together 23.7 hours, and then it is given up."""
JITTER = 0.2
"""Each wait is up to so much shorter or longer, so that what failed together comes apart."""
RETRY_AFTER_MAX = timedelta(hours=1)
"""A receiver may ask for a longer wait than ours, but not for more than this."""
OFF_AFTER = timedelta(days=3)
"""A channel in which nothing has arrived for so long is switched off."""


@dataclass(frozen=True, slots=True)
class Sent:
    """The receiver has taken it."""

    status: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The receiver has not taken it; `error` is shown to the user, and has no secret in it."""

    error: str
    status: int | None = None
    retry_after: timedelta | None = None
    final: bool = False
    """It would fail every time."""
    gone: bool = False
    """The receiver wants no more of this channel."""
    maybe_arrived: bool = False
    """It was sent, and no answer came: the next attempt may be a repeat."""


Outcome = Sent | Failed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the delivery's row becomes; one that waits is tried again in `wait`."""

    state: Literal["sent", "failed", "waiting"]
    wait: timedelta = timedelta()
    switch_off: bool = False


def judge(
    outcome: Outcome, attempts: int, failing_for: timedelta | None, dice: float, pace: float = 1.0
) -> Verdict:
    """Decide after an attempt, the `attempts`-th one.

    `failing_for` is since when nothing has arrived in the channel, `dice` is from 0 to 1, and
    `pace` makes all waits shorter or longer.
    """
    if isinstance(outcome, Sent):
        return Verdict("sent")
    if outcome.gone or (failing_for is not None and failing_for >= OFF_AFTER):
        return Verdict("failed", switch_off=True)
    if outcome.final or attempts > len(WAITS):
        return Verdict("failed")
    wait = WAITS[attempts - 1] * (1 - JITTER + 2 * JITTER * dice)
    wished = min(outcome.retry_after or timedelta(), RETRY_AFTER_MAX)
    return Verdict("waiting", max(wait * pace, wished))


def notification_id(event_id: UUID) -> UUID:
    """Give the id of the notification that tells of an event."""
    return uuid5(event_id, "notification")


def kept_notification_id(event_id: UUID, successor_id: UUID) -> UUID:
    """Give the id of the notification that a successor stays though its task was reopened."""
    return uuid5(event_id, f"kept {successor_id}")


def delivery_id(event_id: UUID, channel_id: UUID) -> UUID:
    """Give the id of an event's delivery by a channel: the same however often the event comes."""
    return uuid5(event_id, str(channel_id))
