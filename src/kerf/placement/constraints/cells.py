"""Cells by name: what a glob in a constraint or an option means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

import numpy as np

from kerf.core.types import KerfError
from kerf.placement.design import Design, Ints

LOOKED_AT = 20_000
"""Names compared when a name is unknown: a chip has too many to compare all."""


def named(design: Design, globs: Sequence[str], why: str) -> Ints:
    """(K,) sorted indices of the cells that any of the names or globs matches; `*` and `?` are wild, brackets are not.

    `why` names what asks. Raises KerfError with the nearest names where one of them matches nothing."""
    found: set[int] = set()
    index: dict[str, int] | None = None
    for glob in globs:
        if "*" in glob or "?" in glob:
            pattern = re.compile(_regex(glob))
            hits = [i for i, name in enumerate(design.cell_names) if pattern.fullmatch(name)]
        else:
            index = index or {name: i for i, name in enumerate(design.cell_names)}
            hits = [index[glob]] if glob in index else []
        if not hits:
            raise KerfError(f"{why}: {design.name} has no cell {glob!r}{_nearest(design, glob)}")
        found.update(hits)
    return np.array(sorted(found), dtype=np.int64)


def _regex(glob: str) -> str:
    return "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in glob)


def _nearest(design: Design, glob: str) -> str:
    """Of whole names, and of what stands between their slashes."""
    plain = glob.replace("*", "").replace("?", "")
    alike = [n for n in design.cell_names if n[:1] == plain[:1]][:LOOKED_AT]
    parts = {part for n in design.cell_names[:LOOKED_AT] for part in n.split("/")}
    close = difflib.get_close_matches(plain, sorted({*alike, *parts})[: 2 * LOOKED_AT], n=3, cutoff=0.5)
    return f"; the nearest are {', '.join(close)}" if close else ""
