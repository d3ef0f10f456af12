"""Planted faults: a copy of this tree with one guarantee broken, which the campaign must find."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

ROOT = Path(__file__).parents[2]
PATCHES = sorted((ROOT / "tests/campaign/planted").glob("*.patch"))
TREES = ("schemas", "streams", "api", "gateway", "tests")
RUN_S_MAX = 400.0


@dataclass(frozen=True, slots=True)
class Planted:
    """What a campaign said of a copy with a fault."""

    exit_code: int
    took_s: float
    output: str


def faults_of(patch: Path) -> Sequence[str]:
    """Give the faults that bring the planted one to light, from the head of its patch."""
    found = re.search(r"^Faults: (.+)$", patch.read_text(), re.MULTILINE)
    return found.group(1).split(", ") if found else []


def copy_tree(to: Path) -> None:
    """Copy the sources and the tests; what was downloaded is shared."""
    for name in TREES:
        shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", to)
    (to / ".taskflow").mkdir()
    (to / ".taskflow/jars").symlink_to((ROOT / ".taskflow/jars").absolute())


async def plant(patch: Path, to: Path, *, only_try: bool = False) -> bool:
    """Apply a patch; with `only_try`, tell whether it can be applied."""
    command = ["git", "apply", "--recount", *(["--check"] if only_try else []), str(patch)]
    # A folder within a repository is left alone by git unless it is told that it is none.
    environment = os.environ | {"GIT_DIR": str(to / "no-repository")}
    process = await asyncio.create_subprocess_exec(*command, cwd=to, env=environment)
    return await process.wait() == 0


async def run_campaign(tree: Path, seed: int, minutes: float, faults: Sequence[str]) -> Planted:
    """Run a campaign of a tree as it is."""
    began_at = monotonic()
    chosen = [word for fault in faults for word in ("--fault", fault)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.campaign", "--seed", str(seed)),
        *("--minutes", str(minutes), *chosen),
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(RUN_S_MAX):
        output, _ = await process.communicate()
    return Planted(process.returncode or 0, monotonic() - began_at, output.decode())
