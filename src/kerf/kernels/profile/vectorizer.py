"""What the compiler said of vectorizing: gcc's -fdump-tree-vect or -fopt-info-vec, clang's -Rpass, condensed to some lines of source."""

from __future__ import annotations

import re
from dataclasses import dataclass

_LINE = re.compile(
    r"^\S*unit_to_build\.c:(\d+):\d+: (optimized|missed|remark):\s+(.*?)(?: \[-R[a-z-]+=?[a-z-]*\])?$"
)
_REASON = re.compile(
    r"not vectorized|loop not vectorized|vectorized loop|loop vectorized|cannot|unsafe|call instruction"
)
_EMPTY = re.compile(
    r"not vectorized: (no vectype|vectorization (is )?not profitable|vector version will never|no grouped stores|multiple nested|control flow in loop|latch block|loop nest)"
)  # true of the narrowest type, of statements, or of the loops around: weaker than any other reason
_PLAINER = (
    (r"(possible dependence between data-refs).*", r"\1: an iteration may need what another one wrote"),
    (r"relevant stmt not supported: (?:\S+ = )?(\w+) \(.*", r"no vector form of \1()"),
    (r"(relevant stmt not supported|strided load|no vectype for stmt|data reference)[: ]*[\w*(]* = .*", r"\1"),
)  # fmt: skip


@dataclass(frozen=True)
class Remark:
    """`line` of the C text; `done`: whether a loop was vectorized there."""

    line: int
    done: bool
    text: str


def remarks(report: str) -> list[Remark]:
    """Every remark about loops once, in order of line. What says that something failed and not why is left out."""
    found: dict[Remark, None] = {}
    for line in report.splitlines():
        match = _LINE.match(line)
        if match and _REASON.search(match[3]) and "basic block" not in match[3]:
            done = match[2] == "optimized" or match[3].startswith("vectorized")
            found[Remark(int(match[1]), done, _plain(match[3]))] = None
    return sorted(found, key=lambda r: (r.line, not r.done))


def within(found: list[Remark], first: int, last: int, most: int = 4) -> list[Remark]:
    """Those about the lines first..last, what was done first; of weak reasons one, where there is nothing better."""
    near = [r for r in found if first <= r.line <= last]
    telling = [r for r in near if r.done or not _EMPTY.match(r.text)]
    return sorted(telling, key=lambda r: not r.done)[:most] or near[:1]


def _plain(text: str) -> str:
    """Without the compiler's internal names of statements."""
    for pattern, plainer in _PLAINER:
        text = re.sub(pattern, plainer, text)
    return re.sub(r"\s+", " ", text).strip().rstrip(".")[:140]
