"""How many files, and so sockets, this process may have open."""

import resource

RESERVED = 256
"""Of them, for all that is no client: the database, the log, and the process's own files."""


def room_for_clients(wanted: int) -> int:
    """Let this process open as many files as its user may, and give how many clients it can serve.

    That is `wanted`, or fewer where the machine allows fewer files (`ulimit -Hn`); at least one.
    Without that bound a flood of clients would leave no file for the database or the log.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard == resource.RLIM_INFINITY:
        return wanted
    return max(1, min(wanted, hard - RESERVED))
