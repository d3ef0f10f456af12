"""`python -m tests.simulation --seed N --count M`: plays seeds, and tells those that fail.

With one seed its whole trace is printed; the same seed gives the same trace, to the last step.
"""

import argparse
import os
import sys
from contextlib import nullcontext
from time import monotonic

from tests.servers import Servers
from tests.simulation.planted import PLANTED
from tests.simulation.server import make_server
from tests.simulation.world import play

SHOWN_S = 10.0


def main() -> int:
    """Play, and give 1 if a seed has failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--until-failed", action="store_true", help="end at the first that fails")
    parser.add_argument("--planted", choices=PLANTED, help="with a defect that is to be found")
    given = parser.parse_args()
    with PLANTED[given.planted]() if given.planted else nullcontext():
        return _play_all(given)


def _play_all(given: argparse.Namespace) -> int:
    servers = Servers()
    server = make_server(servers.postgres.make_database, servers.directory)
    began, failed, shown_at = monotonic(), 0, monotonic()
    played = 0
    try:
        for seed in range(given.seed, given.seed + given.count):
            outcome = play(seed, server)
            played += 1
            if outcome.wrong or given.count == 1:
                print(outcome.text, flush=True)
            failed += bool(outcome.wrong)
            if failed and given.until_failed:
                break
            if monotonic() - shown_at > SHOWN_S:
                shown_at = monotonic()
                _tell(played, failed, shown_at - began)
    finally:
        _tell(played, failed, monotonic() - began)
        server.close()
        servers.stop()
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
