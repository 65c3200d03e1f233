"""What a sentence may name: files under the folder, what comes with kerf, and earlier runs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from rapidfuzz.distance import OSA

from kerf.assistant.words import stem
from kerf.core.speech import Said

DEEP = 3
MOST = 3000
SHOWN = 6
SKIPPED = {"node_modules", "__pycache__", "venv", "build", "dist", "site-packages"}


class Workspace:
    """`runs`: ids of earlier runs, the newest first. `reserved`: stems that call a verb, and name a file only after "the"."""

    def __init__(self, folder: Path | None = None, runs: Sequence[str] = ()) -> None:
        self.folder = folder or Path.cwd()
        self.runs = tuple(runs)
        self.reserved: frozenset[str] = frozenset()
        self._fits: dict[tuple[str, tuple[str, ...], str], bool] = {}
        self._fitting: dict[tuple[tuple[str, ...], str], list[str]] = {}
        self._meant: dict[str, str] = {}
        self._words: dict[str, frozenset[str]] = {}

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Relative names, at most DEEP folders down and MOST of them."""
        found: list[str] = []
        for here, folders, names in os.walk(self.folder):
            inside = Path(here).relative_to(self.folder)
            folders[:] = sorted(f for f in folders if f[0] != "." and f not in SKIPPED)
            if len(inside.parts) >= DEEP:
                folders.clear()
            found += sorted((inside / n).as_posix() for n in names if n[0] != ".")
            if len(found) > MOST:
                break
        return tuple(found[:MOST])

    def exists(self, name: str) -> bool:
        return bool(name) and (self.folder / name).exists()

    def misspelt(self, name: str) -> str:
        """The one file that this name, which is none, is a spelling mistake of, or "". "fifo2.sv" is another name, not a mistake."""
        if not re.fullmatch(r"[\w./-]{5,}\.\w+", name) or self.exists(name):
            return ""
        if name not in self._meant:
            most = 1 if len(Path(name).stem) < 7 else 2
            digits = re.findall(r"\d+", name)
            alike = [
                n
                for n in self.files
                if Path(n).suffix == Path(name).suffix and re.findall(r"\d+", n) == digits
            ]
            near = [n for n in alike if OSA.distance(name.lower(), n.lower(), score_cutoff=most) <= most]
            self._meant[name] = near[0] if len(near) == 1 and len(Path(name).stem) > 2 else ""
        return self._meant[name]

    def fits(self, said: Said, name: str) -> bool:
        """Whether an option takes that file, by its name and, where the option says so, its text."""
        key = (name, said.files, said.holds)
        if key not in self._fits:
            self._fits[key] = any(fnmatch(Path(name).name.lower(), g) for g in said.files) and self._holds(
                said, name
            )
        return self._fits[key]

    def _holds(self, said: Said, name: str) -> bool:
        if not said.holds:
            return True
        try:
            with open(self.folder / name, encoding="utf-8", errors="replace") as file:
                return re.search(said.holds, file.read(1 << 16), re.M) is not None
        except OSError:
            return False

    def fitting(self, said: Said) -> list[str]:
        key = (said.files, said.holds)
        if key not in self._fitting:
            self._fitting[key] = [name for name in self.files if self.fits(said, name)]
        return self._fitting[key]

    def named(self, said: Said, words: Sequence[str]) -> list[str]:
        """Values of the files, or of what comes with kerf, whose names have all these words (stems)."""
        names = [n for n in self.fitting(said) if set(words) <= self.words(n)]
        if not names and said.shipped:
            names = [value for name, value in said.shipped().items() if set(words) <= _parts(name)]
        exact = [n for n in names if _parts(Path(n).name.partition(".")[0]) == set(words)]
        return exact if len(exact) == 1 else names

    def words(self, name: str) -> frozenset[str]:
        if name not in self._words:
            path = Path(name)
            folder = _parts(path.parts[-2]) if len(path.parts) > 1 else frozenset()
            self._words[name] = _parts(path.name.partition(".")[0]) | folder
        return self._words[name]

    def vocabulary(self, saids: Sequence[Said]) -> Iterator[str]:
        """The words by which files may be named, as they are written."""
        for name in {n for said in saids if said.files for n in self.fitting(said)}:
            yield from re.findall(r"[a-z]{3,}", Path(name).name.partition(".")[0].lower())


def _parts(name: str) -> frozenset[str]:
    """The stems of a name's words, and the name itself: "23_Softmax" is called "softmax"."""
    low = name.lower()
    return frozenset({stem(p) for p in re.findall(r"[a-z]+\d*|\d+", low)} | {low})


def listed(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def shipped(said: Said) -> Mapping[str, str]:
    return said.shipped() if said.shipped else {}
