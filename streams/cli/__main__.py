"""`python -m streams.cli` is `taskflow`."""

import sys

from streams.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
