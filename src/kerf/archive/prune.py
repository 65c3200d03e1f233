"""Keep the archive small: drop old runs and everything that only they needed, in the archive and in their folders."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from kerf.archive.store import Archive

RUN = re.compile(r"\d{6}-\d{6}-[0-9a-f]{4}")
"""A run's id, and the name of its folder."""
ORPHANS = (
    "DELETE FROM evaluations WHERE id NOT IN (SELECT evaluation FROM trials UNION SELECT evaluation FROM confirmations)",
    "DELETE FROM candidates WHERE id NOT IN (SELECT candidate FROM evaluations)",
    "DELETE FROM environments WHERE id NOT IN (SELECT environment FROM evaluations)",
    "DELETE FROM signatures WHERE problem NOT IN (SELECT problem FROM trials)",
    "DELETE FROM problems WHERE key NOT IN (SELECT problem FROM runs)",
)


@dataclass(frozen=True)
class Pruned:
    """The runs that went and the bytes of disk that came back, folders included."""

    runs: tuple[str, ...]
    freed_bytes: int


def prune(
    archive: Archive,
    *,
    keep_runs: int | None = None,
    older_than_s: float | None = None,
    max_bytes: int | None = None,
) -> Pruned:
    """Drop the oldest runs until at most `keep_runs` are left, none is older than `older_than_s`, and the content, with what runs keep in
    their folders, is at most `max_bytes`. A run that a living process works on stays. What is dropped is also forgotten by the memory of
    proposers; so are folders of runs that are no longer in the archive."""
    before, dropped = _disk_bytes(archive), []
    _sweep(archive)
    newest_first = archive.runs(limit=-1)
    doomed = {r.id for r in newest_first[keep_runs:]} if keep_runs is not None else set()
    if older_than_s is not None:
        doomed |= {r.id for r in newest_first if time.time() - r.updated > older_than_s}
    dropped += _drop(archive, [r.id for r in newest_first if r.id in doomed])
    for run in reversed([r.id for r in newest_first if r.id not in doomed]) if max_bytes is not None else ():
        if _content_bytes(archive) <= (max_bytes or 0):
            break
        dropped += _drop(archive, [run])
    archive.db.execute("VACUUM")
    archive.db.rows("PRAGMA wal_checkpoint(TRUNCATE)")
    return Pruned(tuple(dropped), max(0, before - _disk_bytes(archive)))


def _drop(archive: Archive, runs: Sequence[str]) -> list[str]:
    free = [run for run in runs if not archive.is_held(run)]
    with archive.db.transaction():
        for run in free:
            for table in ("trials", "confirmations", "events", "turns"):
                archive.db.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
            archive.db.execute("DELETE FROM notes WHERE subject = ?", (run,))
            archive.db.execute("DELETE FROM runs WHERE id = ?", (run,))
        for statement in ORPHANS if free else ():
            archive.db.execute(statement)
    for run in free:
        (archive.folder / "locks" / f"{run}.lock").unlink(missing_ok=True)
        shutil.rmtree(archive.folder / "runs" / run, ignore_errors=True)
    return free


def _sweep(archive: Archive) -> None:
    """Folders of runs that are gone: a prune that was killed, or one by a version that left them."""
    known = {record.id for record in archive.runs(limit=-1)}
    for folder in (archive.folder / "runs").glob("*"):
        if RUN.fullmatch(folder.name) and folder.name not in known and not archive.is_held(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def _content_bytes(archive: Archive) -> int:
    """The file without its free pages: what it will be after VACUUM."""
    pages, free, size = (
        archive.db.rows(f"PRAGMA {name}")[0][0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size) + _folder_bytes(archive)


def _disk_bytes(archive: Archive) -> int:
    return sum(path.stat().st_size for path in archive.folder.glob("archive.sqlite*")) + _folder_bytes(
        archive
    )


def _folder_bytes(archive: Archive) -> int:
    """What runs keep beside the archive. A living run may take a file away meanwhile."""
    total = 0
    for path in (archive.folder / "runs").rglob("*"):
        with suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total
