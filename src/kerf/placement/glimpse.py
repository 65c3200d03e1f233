"""What a design calls its cells, read in a moment: enough to ask back before a plan runs, never to place by."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 20
"""A larger design is not looked at: a sentence must be understood within some 50 ms."""
LOOKED_AT = 50_000
"""Characters of names that near ones are looked for in."""
MENTIONED = ("fixed", "region", "halo", "edge", "group", "align", "orient")
"""Constraints whose words name cells, up to a number or a side."""
NAMES = {
    ".nodes": re.compile(r"^\s*(?!UCLA|Num)(\S+)\s+\d", re.M),
    ".def": re.compile(r"^\s*-\s+(\S+)\s+\S+\s", re.M),
    ".txt": re.compile(r'^\s*name:\s*"([^"]+)"', re.M),
}


def refused(arguments: Mapping[str, Any], folder: Path) -> str:
    """Why `place` or `draw` would refuse that: a name that the design has not; "" where nothing is known."""
    path = _file(str(arguments.get("design") or ""), folder)
    if path is None:
        return ""
    names = _names(path, path.stat().st_mtime)
    for constraint in arguments.get("constraint") or ():
        kind, *words = str(constraint).split()
        cells = takewhile(lambda w: not re.match(r"[\d.-]|(?:left|right|top|bottom|x|y|within)$", w), words)
        gone = next((c for c in cells if not _any(names, c)), "") if names and kind in MENTIONED else ""
        if gone:
            return f"{path.name} has no cell {gone!r}{_near(names, gone)}: say them as the design does"
    return ""


def _file(design: str, folder: Path) -> Path | None:
    path = Path(__file__).parent / "examples" / "mesh.aux" if design == "example" else folder / design
    return path if path.is_file() and path.stat().st_size <= MOST_BYTES else None


@lru_cache(maxsize=8)
def _names(path: Path, changed: float) -> str:
    """One a line. `changed`: when, so that a file that is written anew is read anew. Empty where the format is another."""
    if path.suffix == ".aux":
        found = re.search(r"(\S+\.nodes)\b", path.read_text(errors="replace"))
        path = path.parent / found[1] if found else path
    shape = NAMES.get(path.suffix)
    if shape is None or not path.is_file() or path.stat().st_size > MOST_BYTES:
        return ""
    return "\n".join(m[1].replace("\\", "") for m in shape.finditer(path.read_text(errors="replace")))


@lru_cache(maxsize=64)
def _any(names: str, glob: str) -> bool:
    shape = "".join({"*": r"[^\n]*", "?": r"[^\n]"}.get(c, re.escape(c)) for c in glob)
    return "[" in glob or re.search(rf"^{shape}$", names, re.M) is not None


@lru_cache(maxsize=64)
def _near(names: str, glob: str) -> str:
    """Of the words between slashes, underscores and numbers; else the first names."""
    plain = glob.strip("*?").lower()
    parts = {p.lower(): p for p in re.findall(r"[A-Za-z]{2,}", names[:LOOKED_AT])}
    close = difflib.get_close_matches(plain, list(parts)[:1000], n=3, cutoff=0.5)
    return (
        f"; the nearest are {', '.join(parts[p] for p in close)}"
        if close
        else f"; there are {', '.join(names.splitlines()[:3])}"
    )
