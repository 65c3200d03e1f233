"""Files to be written, shown as a diff before, written whole or not at all, and taken back exactly.

What was there before, and what was written, is kept in the archive's folder, a record a file. Undoing restores the old bytes where the file is
still as it was written; where its owner changed it since, only kerf's entry is taken out.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kerf.archive import default_folder
from kerf.core.types import KerfError

Edit = Callable[[str], str]


@dataclass(frozen=True)
class Change:
    """None: no file. `note`: what its owner should know."""

    path: Path
    before: str | None
    after: str | None
    note: str = ""

    @property
    def action(self) -> str:
        if self.before == self.after:
            return "none"
        return "create" if self.before is None else "delete" if self.after is None else "edit"

    def diff(self) -> str:
        texts = (self.before, self.after)
        old, new = ((t or "").splitlines() for t in texts)
        was, now = ("/dev/null" if t is None else str(self.path) for t in texts)
        return "\n".join(difflib.unified_diff(old, new, was, now, lineterm=""))


@dataclass(frozen=True)
class Record:
    """`made`: folders that did not exist, innermost first."""

    path: str
    before: str | None
    after: str
    made: tuple[str, ...]


def edited(path: Path, edit: Edit) -> Change:
    """KerfError, which names the file, where `edit` cannot read it."""
    before = current(path)
    try:
        return Change(path, before, edit(before or ""))
    except KerfError as error:
        raise KerfError(f"{path}: {error}. Nothing was written; mend the file, then try again.") from error


def undone(path: Path, without: Edit | None) -> Change:
    """What takes `path` back. `without` takes kerf's entry out of a file that changed since; without it such a file is left alone."""
    now, record = current(path), recorded(path)
    if now is None or (record and now == record.after):
        return Change(path, now, record.before if record and now is not None else None)
    if without is None:
        return Change(path, now, now, "was changed since kerf wrote it, or is not kerf's: left alone")
    return edited(path, without)


def apply(change: Change) -> None:
    """Writes, and keeps what undoing needs: of a file written before by kerf, what was there before that."""
    if change.action == "none" or change.after is None:
        return
    _check_unchanged(change)
    old = recorded(change.path)
    record = Record(
        str(change.path), change.before, change.after, tuple(map(str, _missing(change.path.parent)))
    )
    if old and old.after == change.before:
        record = replace(record, before=old.before, made=old.made)
    write(_record_file(change.path), json.dumps(asdict(record)))
    write(change.path, change.after)


def revert(change: Change) -> None:
    """Writes what an undo gives, forgets the record, and removes the folders that were made for the file and are empty."""
    if change.action == "none":
        return
    _check_unchanged(change)
    record = recorded(change.path)
    if change.after is None:
        change.path.unlink()
    else:
        write(change.path, change.after)
    for folder in record.made if record else ():
        with suppress(OSError):
            Path(folder).rmdir()
    _record_file(change.path).unlink(missing_ok=True)


def _check_unchanged(change: Change) -> None:
    if current(change.path) != change.before:
        raise KerfError(f"{change.path} was changed by somebody else just now: try again")


def current(path: Path) -> str | None:
    """KerfError for a file that is no UTF-8 text."""
    try:
        return path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise KerfError(f"{path} cannot be read as text: {error}") from error


def write(path: Path, text: str) -> None:
    """Whole or not at all. A link stays one, and a file keeps its mode."""
    place = path.resolve()
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name}.")
        with os.fdopen(handle, "wb") as stream:
            stream.write(text.encode("utf-8"))
        os.chmod(name, place.stat().st_mode & 0o7777 if place.exists() else 0o644)
        os.replace(name, place)
    except OSError as error:
        raise KerfError(f"{path} cannot be written: {error.strerror}") from error


def recorded(path: Path) -> Record | None:
    text = current(_record_file(path))
    if text is None:
        return None
    kept = json.loads(text)
    return Record(kept["path"], kept["before"], kept["after"], tuple(kept["made"]))


def _record_file(path: Path) -> Path:
    name = hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:20]
    return default_folder() / "connections" / f"{name}.json"


def _missing(folder: Path) -> Iterator[Path]:
    while not folder.exists():
        yield folder
        folder = folder.parent
