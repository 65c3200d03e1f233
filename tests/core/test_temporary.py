"""Temporary folders go with their process, or after it when it was killed; never those of one that lives, nor another user's."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kerf.core import temporary
from kerf.core.types import KerfError

HOLDS = """
import os, sys
from kerf.core import temporary
held = temporary.folder("kept")
open(os.path.join(held.name, "file"), "w").write("something")
print(held.name, flush=True)
sys.stdin.read()
"""
FORKS = """
import os, sys
from kerf.core import temporary
held = temporary.folder("kept")
if os.fork():
    print(held.name, flush=True)
    os.kill(os.getpid(), 9)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path / f"kerf-{os.getuid()}"


@contextmanager
def running(program: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process with a temporary folder, which it has until its standard input ends."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        yield process, Path(process.stdout.readline().strip())


def test_a_folder_goes_when_it_is_closed_or_its_process_ends(place: Path) -> None:
    with temporary.folder("work") as name:
        (Path(name) / "deep").mkdir()
        assert Path(name).name.startswith("work-") and place in Path(name).parents
    assert not Path(name).exists()
    with running(HOLDS) as (process, folder):
        assert (folder / "file").read_text() == "something"
        process.communicate("")
    assert process.returncode == 0 and not folder.parent.exists()


def test_what_a_killed_process_left_goes_and_what_a_living_one_has_stays(place: Path) -> None:
    with running(HOLDS) as (living, kept), running(HOLDS) as (killed, left):
        killed.kill()
        killed.wait()
        assert left.exists()
        assert temporary.sweep() == 1
        assert not left.parent.exists() and (kept / "file").exists()
        living.communicate("")
    assert not list(place.iterdir())


def test_the_next_process_to_make_a_folder_sweeps() -> None:
    with running(HOLDS) as (killed, left):
        killed.kill()
        killed.wait()
    with running(HOLDS) as (_, kept):
        assert kept.exists() and not left.parent.exists()


def test_a_forked_worker_keeps_the_folder_of_its_killed_parent() -> None:
    with running(FORKS) as (parent, folder):
        parent.wait()
        assert temporary.sweep() == 0 and folder.exists()
    # the worker's standard input has ended, and with it the worker
    for _ in range(100):
        if temporary.sweep():
            break
        subprocess.run(["sleep", "0.05"], check=True)
    assert not folder.exists()


@pytest.mark.parametrize("how", ["link", "writable by others"])
def test_a_place_that_others_can_write_is_refused(how: str, place: Path, tmp_path: Path) -> None:
    if how == "link":
        (tmp_path / "elsewhere").mkdir()
        place.symlink_to(tmp_path / "elsewhere")
    else:
        place.mkdir()
        place.chmod(0o777)
    with pytest.raises(KerfError, match=r"you alone.*TMPDIR"):
        temporary.folder("work")


def test_a_folder_that_a_cleaner_took_is_made_again(place: Path) -> None:
    with temporary.folder("first"):
        pass
    for folder in place.iterdir():
        folder.rmdir()
    with temporary.folder("second") as name:
        assert Path(name).is_dir()
