"""Files as text: gzip seen through, truncated and binary files refused, and errors that name file and line."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from kerf.core.types import KerfError


class FormatError(KerfError):
    """A malformed file: which, where, what was expected and what stood there."""

    def __init__(self, path: Path | str, line: int, expected: str, found: str) -> None:
        self.path, self.line, self.expected = str(path), line, expected
        shown = found if len(found) <= 60 else found[:57] + "..."
        super().__init__(f"{path}:{line}: expected {expected}, found {shown!r}")


END = "the end of the file"


def present(path: Path) -> Path:
    """The file itself or, where only that exists, its gzip-compressed form."""
    packed = path.with_name(path.name + ".gz")
    try:
        found = next((p for p in (path, packed) if p.is_file()), None)
    except OSError as error:
        raise KerfError(f"{path.name[:60]}: no file can have this name ({error.strerror})") from error
    if found is None:
        raise KerfError(f"{path}: no such file (nor {packed.name})")
    return found


def read(path: Path) -> str:
    """The whole text, decompressed where it is gzip (by content, not by name)."""
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise KerfError(f"{path}: the gzip data is damaged or cut short ({error})") from error
    except OSError as error:
        raise KerfError(f"{path}: cannot be read: {error.strerror}") from error
    zero = data.find(b"\0")
    if zero >= 0:
        raise FormatError(path, data.count(b"\n", 0, zero) + 1, "text", "binary data")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


def write(path: Path, text: str) -> None:
    """Whole or not at all; compressed where the name ends in .gz."""
    data = text.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data, 6, mtime=0)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_bytes(data)
    partial.replace(path)


def lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """(line number, words) of each line that has any, without `#` comments."""
    for number, line in enumerate(text.splitlines(), 1):
        if "#" in line:
            line = line.partition("#")[0]
        words = line.split()
        if words:
            yield number, words


LARGEST = 1e15
"""No coordinate, size or weight is larger: areas and sums of what passes stay finite."""


def number(path: Path, line: int, word: str, what: str) -> float:
    """A number of at most LARGEST either way, or an error that says what it should have been."""
    try:
        value = float(word)
    except ValueError:
        raise FormatError(path, line, what, word) from None
    if value - value != 0.0:
        raise FormatError(path, line, f"{what}, finite", word)
    if abs(value) > LARGEST:
        raise FormatError(path, line, f"{what}, of at most {LARGEST:g}", word)
    return value


SMALLEST = 1e-9
"""No canvas, row or site is smaller: what is divided by its size stays finite."""
MOST = 10**9


def whole(path: Path, line: int, word: str, what: str) -> int:
    """A count: not negative, at most MOST."""
    try:
        value = int(word)
    except ValueError:
        raise FormatError(path, line, what, word) from None
    if not 0 <= value <= MOST:
        raise FormatError(path, line, f"{what}, from 0 to {MOST}", word)
    return value


def plain(value: float) -> str:
    """A number without the noise of halving and adding in binary."""
    return f"{value:.12g}"
