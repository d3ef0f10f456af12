"""`python -m tests.campaign`: one campaign, with its timeline and what the checker found."""

import argparse
import asyncio
import sys
from functools import partial

from tests.campaign.campaign import Campaign
from tests.campaign.report import report


def main() -> int:
    """Run a campaign; exit code 1 if a guarantee was found broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=main.__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of clients and faults alike")
    parser.add_argument("--minutes", type=float, default=3.0, help="of load, without the draining")
    parser.add_argument("--fault", action="append", help="only faults of this name; repeatable")
    options = parser.parse_args()
    say = partial(print, flush=True)
    say(f"campaign: seed {options.seed}, {options.minutes:g} minutes")
    campaign = Campaign(options.seed, options.minutes, say, options.fault)
    outcome = asyncio.run(campaign.run())
    say(report(outcome))
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
