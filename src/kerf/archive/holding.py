"""Which living process works on which run."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from kerf.core.types import KerfError

_held: dict[Path, IO[str]] = {}


class Holding:
    """One lock file a run. POSIX record locks: the kernel drops them when their process dies, however it dies, and a forked worker
    that outlives it does not keep them. They know processes only, so within one `_held` decides; and closing any handle of a
    file drops its process's lock on it, so a file in `_held` is not opened again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, run: str) -> Path:
        return self.folder / f"{run}.lock"

    def hold(self, run: str) -> None:
        path = self.path(run)
        path.parent.mkdir(exist_ok=True)
        handle = None if path in _held else path.open("a+")
        if handle is None or not _locked(handle):
            raise KerfError(
                f"another process is working on run {run}. Wait for it or stop it, then try again."
            )
        _held[path] = handle

    def release(self, run: str) -> None:
        if handle := _held.pop(self.path(run), None):
            handle.close()

    def is_held(self, run: str) -> bool:
        path = self.path(run)
        if path in _held or not path.exists():
            return path in _held
        with path.open("r+") as handle:
            return not _locked(handle)


def _locked(handle: IO[str]) -> bool:
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
