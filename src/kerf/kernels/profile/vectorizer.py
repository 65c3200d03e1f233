"""What the compiler said of vectorizing: gcc's -fopt-info-vec, clang's -Rpass, condensed to some lines of source."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"^(?:\S*unit_to_build\.c):(\d+):(\d+): (optimized|missed|remark):\s+(.*?)(?: \[-R[a-z-]+=?[a-z-]*\])?$"
)
_SILENT = ("couldn't vectorize loop", "statement clobbers memory", "not vectorized: vectorization is not profitable", "not vectorized: no grouped stores", "not vectorized: no vectype for stmt",
           "not vectorized: multiple nested loops")  # fmt: skip


@dataclass(frozen=True)
class Remark:
    """`line` of the C text; `done`: whether a loop was vectorized there."""

    line: int
    done: bool
    text: str


def remarks(report: str) -> list[Remark]:
    """Every remark once, in order of line. What says that something failed and not why, and what concerns straight-line code, is left out."""
    found: dict[Remark, None] = {}
    for line in report.splitlines():
        match = _LINE.match(line)
        if not match:
            continue
        number, _, kind, text = match.groups()
        done = kind == "optimized" or text.startswith("vectorized")
        if done and "basic block" in text:
            continue
        found[Remark(int(number), done, _plain(text))] = None
    return sorted(found, key=lambda r: (r.line, not r.done))


def within(found: list[Remark], first: int, last: int, most: int = 4) -> list[Remark]:
    """Those about the lines first..last; reasons that only repeat that it failed are left out where there are better ones."""
    near = [r for r in found if first <= r.line <= last]
    telling = [r for r in near if r.done or not r.text.startswith(_SILENT)]
    return (telling or near)[:most]


def _plain(text: str) -> str:
    """Without the compiler's internal names of statements."""
    return re.sub(r"\s+", " ", text).strip().rstrip(".")[:140]
