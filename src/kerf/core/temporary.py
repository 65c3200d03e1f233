"""Temporary folders: every one lies in its process's own, which is locked while that lives, so that what killed processes left is
known and goes when the next process makes one."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kerf.core.types import KerfError

_held: dict[tuple[int, Path], Path] = {}
"""The folder of a process (a forked child is another) in a folder for temporary files."""


def folder(purpose: str) -> tempfile.TemporaryDirectory[str]:
    """A new empty folder, with `purpose` in its name; removed when it is closed or, of a killed process, by a later `sweep`. OSError
    where there is no room, KerfError where another user took the place."""
    return tempfile.TemporaryDirectory(prefix=f"{purpose}-", dir=_own())


def sweep() -> int:
    """Remove what processes of this user left that are no longer there; how many left something."""
    with _place() as place:
        return _swept(place)


def _own() -> Path:
    """This process's folder, made and locked when first asked for."""
    key = os.getpid(), Path(tempfile.gettempdir())
    if key not in _held or not _held[key].is_dir():
        with _place() as place:
            _swept(place)
            made = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=place))
            _locked(made)  # never closed: the lock goes with the process
        _held[key] = made
        atexit.register(_leave, key)
    return _held[key]


def _leave(key: tuple[int, Path]) -> None:
    if key[0] == os.getpid():
        shutil.rmtree(_held[key], ignore_errors=True)


@contextmanager
def _place() -> Iterator[Path]:
    """The folder that holds those of this user's processes, locked: nobody makes one or looks for dead ones meanwhile."""
    place = Path(tempfile.gettempdir()) / f"kerf-{os.getuid()}"
    place.mkdir(0o700, exist_ok=True)
    found = place.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o022:
        raise KerfError(
            f"{place} is not a folder that you alone can write, so temporary files are not safe there: remove it, or set TMPDIR to another folder"
        )
    fd = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield place
    finally:
        os.close(fd)


def _swept(place: Path) -> int:
    count = 0
    for left in place.iterdir():
        fd = _locked(left)
        if fd is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(fd)
            count += 1
    return count


def _locked(path: Path) -> int | None:
    """A handle with the lock of a folder; None where a process has it. A forked worker shares its parent's lock."""
    with suppress(OSError):
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError:
            os.close(fd)
    return None
