"""`taskflow schemas export`: the shapes as files, for programs in other languages."""

import argparse
import json
from pathlib import Path

from schemas.asyncapi import asyncapi
from schemas.json_schema import json_schemas
from streams.cli.commands import Commands, add


def add_commands(commands: Commands) -> None:
    """Add `schemas export`."""
    about = "Write the shapes of TaskFlow for other programs."
    parser = commands.add_parser("schemas", help=about, description=about)
    steps = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    export = add(steps, "export", _export, "Write JSON Schemas and an AsyncAPI 3 document.")
    export.add_argument("directory", type=Path, help="where to; made if it is not there")


def _export(arguments: argparse.Namespace) -> int:
    directory: Path = arguments.directory
    directory.mkdir(parents=True, exist_ok=True)
    files = {f"{name}.schema.json": schema for name, schema in json_schemas().items()}
    for name, document in (files | {"asyncapi.json": asyncapi()}).items():
        (directory / name).write_text(json.dumps(document, indent=2) + "\n")
        print(directory / name)
    return 0
