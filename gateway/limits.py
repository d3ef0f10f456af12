"""Every limit of the gateway is a field here, with the contract's value as its default."""

from dataclasses import dataclass

from schemas.frames import AUTH_S_MAX, HEARTBEAT_S, SILENCE_S_MAX


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway allows; tests pass shorter times and smaller sizes.

    `unsent_bytes_max` is looked at before a frame is written: a client that has taken all that came
    before gets a frame of any size, and one that has not holds at most this and one frame more. It
    bounds the number of frames too, since an envelope is never under 300 bytes. 1 MiB is some 700
    events of the usual size: seconds of a client's sleep, not minutes.

    `frames_per_s` counts frames of every kind, pongs and fragments too, after a first burst of
    `frames_burst`; an honest client sends a ping now and then.

    `warm_records_max` is how far before its end a partition is read at the start, and how many
    event ids of a partition are remembered: twice the 500 rows that the relay has under way.
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
    warm_records_max: int = 1_000
    read_records_max: int = 100
    read_timeout_s: float = 5.0
    retry_s_min: float = 0.1
    retry_s_max: float = 5.0
