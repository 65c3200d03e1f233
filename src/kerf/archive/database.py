"""One SQLite file, opened so that several processes can share it, with its errors said in words a user can act on."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kerf.archive.schema import MIGRATIONS
from kerf.core.types import KerfError

BUSY_S = 30.0


class Database:
    """A connection that any thread may use. WAL: readers never wait, and a killed process loses only its open transaction.
    synchronous=NORMAL: a power cut may lose the last commits, never the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        with self.translated():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
            self._write_ahead()
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.execute("PRAGMA foreign_keys=ON")
        self._migrate()

    def _write_ahead(self) -> None:
        """Switch to WAL. SQLite does not wait for another process that is switching the same new file, whatever the timeout."""
        deadline = time.monotonic() + BUSY_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(0.02)

    def _migrate(self) -> None:
        if self._version() == len(MIGRATIONS):
            return
        with self.transaction():
            version = self._version()
            if version > len(MIGRATIONS):
                raise KerfError(
                    f"the archive {self.path} was written by a newer kerf (format {version}, this one knows {len(MIGRATIONS)}). "
                    "Upgrade kerf, or set KERF_HOME to another folder."
                )
            for script in MIGRATIONS[version:]:
                for statement in filter(str.strip, script.split(";")):
                    self._connection.execute(statement)
            self._connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")

    def _version(self) -> int:
        with self.translated():
            return int(self._connection.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and one writer at a time over all processes."""
        with self._lock, self.translated():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def execute(self, statement: str, values: Iterable[Any] = ()) -> sqlite3.Cursor:
        with self._lock, self.translated():
            return self._connection.execute(statement, _storable(values))

    def rows(self, statement: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, self.translated():
            return self._connection.execute(statement, _storable(values)).fetchall()

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.DatabaseError, OSError) as error:
            raise KerfError(f"the archive {self.path}: {error}. {_advice(error)}") from error


ELSEWHERE = "set KERF_HOME to a folder on another disk"
ADVICE = (
    (
        ("full", "no space", "disk i/o", "file too large"),
        f"Free space (`kerf prune` removes old runs), or {ELSEWHERE}. What was recorded before is safe.",
    ),
    (
        ("readonly", "read-only", "permission", "unable to open"),
        "Make the folder writable, or set KERF_HOME to one that is.",
    ),
    (
        ("locked", "busy"),
        f"Another kerf process has held it for more than {BUSY_S:.0f} s. Wait for it or stop it, then try again.",
    ),
    (
        ("not a database", "malformed"),
        "The file is damaged or not kerf's. Move it away (a new one will be made), or set KERF_HOME.",
    ),
)


def _advice(error: Exception) -> str:
    text = str(error).lower()
    return next(
        (advice for words, advice in ADVICE if any(w in text for w in words)),
        f"Check the disk, or {ELSEWHERE}.",
    )


def pack(value: Any) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=plain)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 3)


def unpack(blob: bytes) -> Any:
    return json.loads(zlib.decompress(blob).decode("utf-8", "surrogatepass"))


def _storable(values: Iterable[Any]) -> list[Any]:
    """Text from a candidate's output may hold half characters, which SQLite's text cannot."""
    return [v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for v in values]


def plain(value: Any) -> Any:
    """What a caller slipped into a detail: numpy and torch scalars and arrays as numbers, mappings as dicts, the rest as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "items"):
        return dict(value)
    return str(value)
