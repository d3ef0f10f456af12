"""The security pages are true: what they name is there, and every dependency is pinned by hash."""

import re
import tomllib
from pathlib import Path

PAGES = ("SECURITY.md", "docs/threat-model.md")
_NAMED = re.compile(r"`((?:[A-Za-z_.-]+/)+[A-Za-z0-9_.-]+\.[a-z]+|[A-Za-z_]+\.(?:lock|md))`")
LOCK = tomllib.loads(Path("uv.lock").read_text())


def test_every_file_that_a_security_page_names_is_there() -> None:
    for page in PAGES:
        text = Path(page).read_text()
        named = _NAMED.findall(text) + re.findall(r"\]\(([^)]+)\)", text)
        assert named, page
        assert [name for name in named if not Path(name).exists()] == [], page


def test_every_setting_that_a_security_page_names_exists() -> None:
    settings = Path(".env.example").read_text()
    for page in PAGES:
        for name in re.findall(r"`((?:API|WEBSOCKET|HEALTH|CORS)[A-Z_]+)`", Path(page).read_text()):
            assert f"# {name}=" in settings, name


def test_every_locked_package_has_hashes_and_comes_from_one_index() -> None:
    """Nothing from a URL, a branch or a folder, but for this project itself."""
    for package in LOCK["package"]:
        if package["source"] == {"editable": "."}:
            continue
        assert set(package["source"]) == {"registry"}, package["name"]
        files = [*package.get("wheels", []), *([package["sdist"]] if "sdist" in package else [])]
        assert files, package["name"]
        for file in files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}", file["hash"]), package["name"]
    assert len({str(package["source"]) for package in LOCK["package"]}) == 2


def test_each_excuse_from_a_security_rule_says_why() -> None:
    """Within the source; a blanket one, for a line or a file, is none."""
    for folder in ("schemas", "streams", "api", "gateway"):
        for path in Path(folder).rglob("*.py"):
            for line in path.read_text().splitlines():
                assert not re.search(r"#\s*(noqa\s*$|ruff:\s*noqa)", line), path
                if re.search(r"noqa: S\d", line):
                    assert re.search(r"noqa: S\d+ (- |\()\w", line), f"{path}: {line}"
