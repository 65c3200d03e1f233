"""What a command in the sandbox can and cannot do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kerf.sandbox import isolation, run_command

pytestmark = pytest.mark.skipif(not isolation().sufficient, reason="this machine has no Landlock or seccomp")


def test_it_writes_in_its_folder_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir(), outside.mkdir()
    said = run_command(
        ["sh", "-c", f"echo yes > made; echo no > {outside}/made; cat made"], cwd=inside, timeout_s=10
    )
    assert "yes" in said.output and not (outside / "made").exists()


def test_it_cannot_read_what_it_was_not_given(tmp_path: Path) -> None:
    assert run_command(["cat", "/etc/passwd"], cwd=tmp_path, timeout_s=10).returncode != 0


def test_running_past_the_limit_is_not_a_return_code(tmp_path: Path) -> None:
    said = run_command(["sleep", "20"], cwd=tmp_path, timeout_s=0.2)
    assert said.timed_out and said.seconds < 5


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_make_can_start_its_children(tmp_path: Path) -> None:
    """It sets the user of each to the one that it sees, which must have a number in the sandbox's namespace."""
    (tmp_path / "Makefile").write_text("all:\n\techo built > made\n")
    said = run_command(["make"], cwd=tmp_path, timeout_s=20)
    assert said.returncode == 0 and (tmp_path / "made").read_text() == "built\n"
