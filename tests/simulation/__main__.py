"""`python -m tests.simulation --seed N --count M`: plays seeds, and tells those that fail.

With one seed its whole trace is printed; the same seed gives the same trace, to the last step.
"""

import argparse
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from time import monotonic

from tests.servers import Servers
from tests.simulation.planted import PLANTED
from tests.simulation.server import Server, make_server
from tests.simulation.world import Outcome, play

SHOWN_S = 10.0
_own: list[Server] = []
"""This process's database; there is one of each process."""


def main() -> int:
    """Play, and give 1 if a seed has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--jobs", type=int, default=1, help="so many processes, each its share")
    parser.add_argument("--until-failed", action="store_true", help="end at the first that fails")
    parser.add_argument("--planted", choices=PLANTED, help="with a defect that is to be found")
    given = parser.parse_args()
    servers = Servers()
    try:
        with PLANTED[given.planted]() if given.planted else nullcontext():
            return _tell_all(given, _outcomes(given, servers))
    finally:
        servers.stop()


def _outcomes(given: argparse.Namespace, servers: Servers) -> Iterator[Outcome]:
    seeds = range(given.seed, given.seed + given.count)
    servers.postgres.is_alive  # noqa: B018 (it is started here, for all processes)
    if given.jobs == 1:
        _begin(servers)
        yield from map(_play, seeds)
        return
    with ProcessPoolExecutor(given.jobs, initializer=_begin, initargs=(servers,)) as processes:
        yield from processes.map(_play, seeds, chunksize=10)


def _begin(servers: Servers) -> None:
    name = f"simulation_{os.getpid()}"
    _own.append(make_server(servers.postgres.make_database, servers.directory, name))


def _play(seed: int) -> Outcome:
    return play(seed, _own[0])


def _tell_all(given: argparse.Namespace, outcomes: Iterator[Outcome]) -> int:
    began = shown_at = monotonic()
    played = failed = 0
    for outcome in outcomes:
        played += 1
        failed += bool(outcome.wrong)
        if outcome.wrong or given.count == 1:
            print(outcome.text, flush=True)
        if failed and given.until_failed:
            break
        if monotonic() - shown_at > SHOWN_S:
            shown_at = monotonic()
            _tell(played, failed, shown_at - began)
    _tell(played, failed, monotonic() - began)
    return bool(failed)


def _tell(played: int, failed: int, took_s: float) -> None:
    rate = played / took_s * 60
    print(f"{played} seeds, {failed} failed, {rate:.0f} a minute", file=sys.stderr, flush=True)


if __name__ == "__main__":
    # Sets of names have the order of their hashes, which Python makes anew for each process.
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(  # noqa: S606 (this very command again)
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            os.environ | {"PYTHONHASHSEED": "0"},
        )
    sys.exit(main())
