"""Every limit of the gateway is a field here, with the contract's value as its default."""

from dataclasses import dataclass

from schemas.frames import AUTH_S_MAX, HEARTBEAT_S, SILENCE_S_MAX
from schemas.tokens import LEEWAY, LIFETIME


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway allows; tests pass shorter times and smaller sizes.

    `unsent_bytes_max` is looked at before a frame is written: a client that has taken all that came
    before gets a frame of any size, and one that has not holds at most this and one frame more. It
    bounds the number of frames too, since an envelope is never under 300 bytes. 1 MiB is some 700
    events of the usual size: seconds of a client's sleep, not minutes.

    `frames_per_s` counts frames of every kind, pongs and fragments too, after a first burst of
    `frames_burst`; an honest client sends a ping now and then.

    `connections_max` counts those that are being upgraded too. At some 13 KiB for one that is idle,
    20,000 take 260 MB.
    `sockets_max` counts all TCP connections, those too that have not asked for anything yet, which
    they have `open_s_max` for. At the limit a new one is cut without an answer.
    `handshakes_per_s`, after a burst of twice as many, is for a herd that comes back at once: all
    20,000 are in after five seconds, and those that are in are served meanwhile.
    `full_retry_s` is what a client is told to wait for a place: somebody must leave first.

    `revocations_max` is some 80 MB of sessions that ended within a token's life. At the limit the
    oldest is forgotten: its tokens are the next to expire by themselves.

    `sieve_records` is how many event ids of a partition are remembered, and how far before a
    position the log is read to know which records are repeated: twice the 500 rows that the relay
    has under way. `warm_s` is how far the log is read back at the start: as long as a token lives.

    What clients have missed comes from memory: the latest events of all partitions up to
    `recent_bytes_max`, and where the `indexed_events_max` events before those stand in the log.
    Who needs more waits until one of `searches_at_a_time` readers of the log has found it, in at
    most `resume_s_max`. A reader goes through `search_bytes_max` for a client, and gives it at most
    `found_bytes_max`: who missed more loads afresh.
    """

    open_s_max: float = 5.0
    auth_s_max: float = AUTH_S_MAX
    heartbeat_s: float = HEARTBEAT_S
    silence_s_max: float = SILENCE_S_MAX
    close_s_max: float = 5.0
    shutdown_s_max: float = 8.0
    unsent_bytes_max: int = 1_048_576
    frames_per_s: float = 20.0
    frames_burst: int = 40
    connections_per_user: int = 50
    connections_per_address: int = 2_000
    connections_max: int = 20_000
    sockets_max: int = 25_100
    handshakes_per_s: float = 3_000.0
    full_retry_s: int = 10
    revocations_max: int = 200_000
    sieve_records: int = 1_000
    warm_s: float = (LIFETIME + 2 * LEEWAY).total_seconds()
    recent_bytes_max: int = 67_108_864
    indexed_events_max: int = 1_000_000
    indexed_records_max: int = 4_000_000
    resume_s_max: float = 20.0
    searches_at_a_time: int = 4
    search_records_max: int = 100_000
    search_bytes_max: int = 67_108_864
    found_bytes_max: int = 1_048_576
    read_records_max: int = 100
    read_timeout_s: float = 5.0
    retry_s_min: float = 0.1
    retry_s_max: float = 5.0

    @property
    def handshakes_burst(self) -> float:
        """Handshakes that may come at once: twice those of a second."""
        return 2 * self.handshakes_per_s
