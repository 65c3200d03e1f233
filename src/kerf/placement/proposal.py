"""What a candidate may say beside its recipe: where to begin, where macros are to stand, and constraints of its own.

All of it only adds to what the user asked: constraints are lowered together with the user's, and what a candidate led to is measured by the
user's problem, not by this one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.constraints import Constraint, Orient, Region, read
from kerf.placement.design import Design, Kind, Placement
from kerf.placement.problem import PlacementProblem, bound

FILE = "proposal.json"
WAYS = ("anew", "cells", "refine")
WILD = 4
"""Most wild cards in a name that a candidate gives: matching takes longer with every one."""


@dataclass(frozen=True)
class Stand:
    """The macro `cell` with its lower left corner there, in the unit that `kerf score` shows; `orient` "" where it may stay as it is."""

    cell: str
    left: float
    bottom: float
    orient: str = ""


@dataclass(frozen=True)
class Proposal:
    """`way`: "anew" is global placement of everything; "cells" begins with the placement of the candidate `base`, makes macros legal where
    they are or are told to be, and places cells anew around them; "refine" only makes it legal and improves it. `constraints` in words,
    as the command line takes them, no files. `hold`: macros stay exactly where `macros` has them; else that is where they begin. `open`:
    choices of a recipe's values that are left to search."""

    way: str = "anew"
    base: str = ""
    constraints: tuple[str, ...] = ()
    macros: tuple[Stand, ...] = ()
    hold: bool = True
    open: Mapping[str, tuple[Any, ...]] | None = None

    def text(self) -> str:
        return json.dumps(asdict(self), indent=1, sort_keys=True) + "\n"

    @property
    def asks(self) -> bool:
        """Whether the problem is posed otherwise than the user posed it."""
        return bool(self.way != "anew" or self.constraints or self.macros)

    def posed(self, problem: PlacementProblem, base: Placement | None) -> PlacementProblem:
        """The problem that the stages work on. Raises KerfError for what the design has not, or what conflicts with what was asked."""
        if self.way != "anew" and base is None:
            raise KerfError(
                f"the placement of candidate {self.base!r}, from which to go on, is not known here"
            )
        design = problem.design
        at = self._standing(problem)
        start = self._begun(problem, problem.start if base is None else base, at)
        own = (*read([_words(c) for c in self.constraints], design), *self._held(design, start, at))
        constraints = (*problem.constraints, *own)
        lowered = bound(design, constraints, start, problem.target)
        _refuse_turned(problem, lowered.rules.orients)
        kept = problem.kept or self.way != "anew"
        return replace(problem, constraints=constraints, lowered=lowered, start=start, kept=kept)

    def _standing(self, problem: PlacementProblem) -> dict[int, Stand]:
        """By cell. KerfError for what is no macro that may move, or an orientation that it may not have."""
        design, rules, found = problem.design, problem.lowered.rules, {}
        index = {name: i for i, name in enumerate(design.cell_names)} if self.macros else {}
        for stand in self.macros:
            cell = index.get(stand.cell)
            if cell is None or design.kind[cell] not in (Kind.MACRO, Kind.SOFT):
                raise KerfError(f"{design.name} has no macro {stand.cell!r}")
            if rules.fixed[cell]:
                raise KerfError(f"macro {stand.cell} is fixed: it stays where it is")
            if not np.isfinite([stand.left, stand.bottom]).all():
                raise KerfError(f"macro {stand.cell}: its place takes finite numbers")
            code = orient.CODES.get(stand.orient) if stand.orient else None
            if stand.orient and (code is None or not rules.orients[cell, code]):
                may = " ".join(orient.NAMES[i] for i in np.flatnonzero(rules.orients[cell]))
                raise KerfError(f"macro {stand.cell} may not be oriented {stand.orient!r}; it may: {may}")
            found[cell] = stand
        return found

    def _begun(self, problem: PlacementProblem, begin: Placement, at: Mapping[int, Stand]) -> Placement:
        """The start with these macros moved, on whole database units where the format has them."""
        design, moved = problem.design, begin.copy()
        per, whole = design.per_um or 1.0, design.format in ("lefdef", "verilog")
        for cell, stand in at.items():
            if stand.orient:
                moved.orient[cell] = orient.CODES[stand.orient]
            corner = np.array([stand.left, stand.bottom]) * per
            left, bottom = np.round(corner) if whole else corner
            w, h = (design.width[cell], design.height[cell])
            if orient.TURNED[moved.orient[cell]]:
                w, h = h, w
            moved.x[cell], moved.y[cell] = left + w / 2, bottom + h / 2
        return moved

    def _held(self, design: Design, start: Placement, at: Mapping[int, Stand]) -> list[Constraint]:
        """A region of its own size for each macro that is to stay there, and its orientation where that was said."""
        if not self.hold or not at:
            return []
        boxes, per = np.stack(design.boxes(start), axis=1) / (design.per_um or 1.0), design.cell_names
        found: list[Constraint] = []
        for cell, stand in at.items():
            left, bottom, right, top = boxes[cell].tolist()
            found.append(Region((per[cell],), (left, bottom, right, top)))
            if stand.orient:
                found.append(Orient((per[cell],), (stand.orient,)))
        return found


def proposal_of(files: Mapping[str, str]) -> Proposal:
    """What a candidate's files propose; without the file, that is a recipe from nothing. KerfError where it cannot be read."""
    if FILE not in files:
        return Proposal()
    try:
        values = json.loads(files[FILE])
        macros = tuple(Stand(**m) for m in values.pop("macros", ()))
        opened = {k: tuple(v) for k, v in (values.pop("open", None) or {}).items()}
        constraints = tuple(map(str, values.pop("constraints", ())))
        found = Proposal(**values, macros=macros, constraints=constraints, open=opened or None)
    except (ValueError, TypeError, AttributeError) as error:
        raise KerfError(f"{FILE} is not what a proposal looks like: {error}") from error
    if found.way not in WAYS:
        raise KerfError(f"{FILE}: there is no way {found.way!r}: one of {', '.join(WAYS)}")
    return found


def _words(constraint: str) -> str:
    """A candidate names no files, and no patterns that take for ever to match."""
    if constraint.endswith(".toml"):
        raise KerfError(f"constraint {constraint!r}: say it in words, not as a file")
    if any(word.count("*") + word.count("?") > WILD for word in constraint.split()):
        raise KerfError(f"constraint {constraint!r}: at most {WILD} wild cards in a name")
    return constraint


def _refuse_turned(problem: PlacementProblem, orients: np.ndarray) -> None:
    """Where the user said nothing, the design's own orientations stand: a candidate's constraints allow no others."""
    more = np.flatnonzero((orients & ~problem.lowered.rules.orients).any(axis=1))
    if len(more):
        raise KerfError(
            f"{problem.design.cell_names[more[0]]} may not be turned that way: only the user's own constraints may allow it"
        )
