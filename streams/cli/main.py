"""`taskflow`: every command, what it takes, and what runs it."""

import argparse
import sys
from collections.abc import Sequence

from pydantic import ValidationError

from schemas.settings import MissingSettingError
from streams.cli import audit, channels, database, demo, doctor, export, instance, log, operators
from streams.embedded.failure import EmbeddedError
from streams.operators.asking import RefusedError
from streams.store.database import StoreError
from streams.store.migrations import MigrationError
from streams.transport.interface import TransportError

_EXPECTED = (
    EmbeddedError,
    MigrationError,
    MissingSettingError,
    RefusedError,
    StoreError,
    TransportError,
    demo.DemoError,
)


def main(words: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code; what was to be expected is told in one sentence."""
    arguments = _parser().parse_args(words)
    try:
        return int(arguments.run(arguments))
    except _EXPECTED as error:
        print(error, file=sys.stderr)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            name = "_".join(map(str, detail["loc"])).upper()
            print(f"The setting {name} is not valid: {detail['msg']}.", file=sys.stderr)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="taskflow",
        description="Runs and mends TaskFlow. Settings come from the environment, from .env,"
        " or from the instance that `taskflow up` runs in this folder.",
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (instance, doctor, database, log, operators, audit, channels, export, demo):
        module.add_commands(commands)
    return parser
