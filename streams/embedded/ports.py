"""Ports of loopback: which are free, and who may have them."""

import socket

from streams.embedded.failure import EmbeddedError

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Tell whether nobody listens on a port now; one that was just left counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def choose_port(preferred: int | None = None) -> int:
    """Give the preferred port of loopback if it is free, else another one that is."""
    if preferred is not None and is_free(preferred):
        return preferred
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free(port: int, setting: str, host: str = LOOPBACK) -> None:
    """Raise the sentence that names the setting if somebody listens on a port."""
    if not is_free(port, host):
        raise EmbeddedError(
            f"Port {port} is taken: end what listens there, or set {setting} to another port."
        )


def is_answering(port: int) -> bool:
    """Tell whether somebody accepts connections on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((LOOPBACK, port)) == 0


def address(host: str, port: int) -> str:
    """Give `host:port` as this machine reaches what listens there, also if it listens on all."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 - compared, not bound
        host = LOOPBACK
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
