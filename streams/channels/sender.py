"""What every kind of channel keeps to; `senders.py` has the table of them."""

from collections.abc import Awaitable, Callable

from streams.domain.deliveries import Outcome
from streams.store.sending import Parcel

ATTEMPT_S_MAX = 20.0
"""A send that takes longer is cancelled, well before its channel's claim ends."""

Send = Callable[[Parcel], Awaitable[Outcome]]
"""Tries to deliver one message, once, and says what came of it.

- It returns an `Outcome` for whatever a receiver does, and raises only for a bug of its own.
- The message carries the delivery's id as the key by which a receiver drops a repeat.
- An error's text is shown to the user: it says what to mend, and has no secret or address in it.
- `Failed.maybe_arrived` is set when the receiver may have taken it without our knowing.
- It is called for many parcels at once, and at most `AT_A_TIME` of one channel; parcels of one
  channel are begun in the order in which they fell due, and may arrive in another.
- It may be cancelled at any point; the attempt then counts as one that may have arrived.
"""
