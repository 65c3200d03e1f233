"""Documents run: every python block of the README and docs is executed, and every `kerf` command they show exists."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kerf.verbs import all_verbs, faces

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.M | re.S)


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python")], ids=lambda p: p.name)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    """In order, in one process and an empty folder, as a reader would paste them."""
    script = tmp_path / "page.py"
    script.write_text("\n".join(blocks(page, "python")))
    said = subprocess.run(
        [sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert said.returncode == 0, said.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_commands_exist(page: Path) -> None:
    verbs = {**all_verbs(), **faces()}
    for name, rest in re.findall(r"(?:^|`)kerf ([a-z]+)([^`\n]*)", page.read_text(), re.M):
        assert name in verbs, f"{page.name} shows `kerf {name}`, which is no verb"
        flags = {flag for p in verbs[name].parameters() for flag in p.flags} | {"--json", "--help"}
        for flag in re.findall(r"--[a-z][a-z-]*", rest):
            assert flag in flags, f"{page.name} shows `kerf {name} {flag}`, which does not exist"


def test_readme_starts_with_the_two_commands() -> None:
    first_screen = "\n".join((ROOT / "README.md").read_text().splitlines()[:24])
    assert "make demo" in first_screen and "make test" in first_screen
