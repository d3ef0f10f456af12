"""What a module of commands needs to add them to the parser."""

import argparse
from collections.abc import Callable
from typing import TypeAlias

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - its only name
Run = Callable[[argparse.Namespace], int]


def add(commands: Commands, name: str, run: Run, about: str) -> argparse.ArgumentParser:
    """Add one command; its parser is given back for its own arguments."""
    parser = commands.add_parser(name, help=about, description=about)
    parser.set_defaults(run=run)
    return parser
