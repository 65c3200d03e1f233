"""A full disk where temporary files go. Yosys and ABC do not look whether what they write arrives: whoever reads it does."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kerf.core.types import KerfError

TAIL = 64


class NoRoom(KerfError):
    """Temporary files could not be written. It says nothing about a design."""


@contextmanager
def room() -> Iterator[None]:
    """Whatever of the operating system's errors comes up inside is told as NoRoom."""
    try:
        yield
    except OSError as error:
        where = tempfile.gettempdir()
        raise NoRoom(f"temporary files in {where}: {error.strerror or error}. Free space there, or set TMPDIR to a folder on another disk.") from error  # fmt: skip


def check_whole(file: Path, end: bytes) -> None:
    """OSError where what a tool wrote does not end as such files do."""
    with file.open("rb") as written:
        written.seek(max(file.stat().st_size - TAIL, 0))
        if not written.read().rstrip().endswith(end):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(file))
