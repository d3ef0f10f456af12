"""The repository tests itself: sizes, contracts, and that its pages say what is there."""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grimp

from api.app import ROUTES
from schemas.settings import Settings
from schemas.topics import TOPICS

PACKAGES = ("schemas", "streams", "api", "gateway")
FILE_LINES_MAX, FUNCTION_LINES_MAX = 400, 60
ARCHITECTURE = Path("ARCHITECTURE.md").read_text()


def sources() -> Iterator[Path]:
    for folder in (*PACKAGES, "tests"):
        yield from Path(folder).rglob("*.py")


def test_files_and_functions_are_short() -> None:
    """400 lines and 60 lines at the very most."""
    for path in sources():
        text = path.read_text()
        assert len(text.splitlines()) <= FILE_LINES_MAX, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                assert lines <= FUNCTION_LINES_MAX, f"{path}: {node.name}"


def test_every_setting_is_in_the_example_file_with_its_meaning() -> None:
    """And nothing else is; none of them is set."""
    text = Path(".env.example").read_text()
    names = re.findall(r"^# ([A-Z_]+)=", text, re.MULTILINE)
    assert names == [name.upper() for name in Settings.model_fields]
    for field in Settings.model_fields.values():
        assert field.description
        assert field.description in text
    assert not [line for line in text.splitlines() if line and not line.startswith("#")]


def test_every_topic_endpoint_and_process_is_on_a_page() -> None:
    """Whoever looks for one finds it."""
    for topic in TOPICS:
        assert f"`{topic.name}`" in ARCHITECTURE, topic.name
    readme = Path("README.md").read_text()
    for route in ROUTES:
        assert f"`{route.path}`" in readme, route.path
    for line in Path("Procfile").read_text().splitlines():
        _, _, command = line.partition(": ")
        assert command in readme, command


def rows() -> dict[str, str]:
    """Give the table of ARCHITECTURE.md: which folder may import what."""
    found = re.findall(r"^\| (`.*?) \| .* \| (.*?) \|$", ARCHITECTURE, re.MULTILINE)
    return {
        name.rstrip("/").replace("/", ".").removesuffix(".py"): allowed
        for names, allowed in found
        for name in re.findall(r"`(.*?)`", names)
    }


def packages(allowed: str) -> set[str]:
    """Read what a row allows, as `schemas, streams.{store, domain}`."""
    flat = re.sub(
        r"streams\.\{(.*?)\}",
        lambda match: ", ".join(f"streams.{name.strip()}" for name in match[1].split(",")),
        allowed,
    )
    return set(re.findall(r"[a-z_.]+", flat))


def test_the_imports_are_those_of_the_architecture_page() -> None:
    """Each folder imports what its row allows, and each has a row."""
    graph = grimp.build_graph(*PACKAGES)
    table = rows()
    for module in sorted(graph.modules):
        home = next((name for name in table if module == name or module.startswith(f"{name}.")), "")
        assert home or module == "streams", f"{module} has no row in ARCHITECTURE.md"
        allowed = packages(table.get(home, ""))
        for imported in graph.find_modules_directly_imported_by(module):
            target = ".".join(imported.split(".")[: 2 if imported.startswith("streams.") else 1])
            assert target in {home, *allowed}, f"{module} imports {imported}"


def test_an_import_of_faust_in_the_api_fails_the_check(tmp_path: Path) -> None:
    """The doors are kept by `make check`, not by good intentions."""
    for folder in PACKAGES:
        shutil.copytree(folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy("pyproject.toml", tmp_path)
    lint = (str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo")

    def run() -> "subprocess.CompletedProcess[str]":
        return subprocess.run(lint, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert run().returncode == 0
    (tmp_path / "api" / "clever.py").write_text("import faust\n")
    broken = run()
    assert broken.returncode == 1
    assert "faust has one door BROKEN" in broken.stdout
