"""Do constraints hold in a placement? Plain geometry on the constraints as they were said: it knows nothing of how they were lowered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kerf.placement import orient
from kerf.placement.constraints.cells import named
from kerf.placement.constraints.kinds import (
    Align,
    Constraint,
    Edge,
    Fixed,
    Group,
    Halo,
    Keepout,
    Orient,
    Region,
    rounding,
)
from kerf.placement.constraints.room import free_area
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement

SHOWN = 5


def broken(
    design: Design, placement: Placement, constraints: Sequence[Constraint], reference: Placement
) -> list[dict[str, Any]]:
    """Each constraint that does not hold, how many cells break it, and the first few by name. `reference` is where `fixed` cells
    stood. A cell without a place breaks what it is asked."""
    proof = _Proof(design, placement, reference, constraints)
    found = []
    for constraint in constraints:
        cells = proof.breaking(constraint)
        if len(cells):
            names = [design.cell_names[i] for i in cells[:SHOWN]]
            found.append({"rule": str(constraint), "count": len(cells), "examples": names})
    return found


class _Proof:
    """One placement's boxes, measured once."""

    def __init__(
        self, design: Design, placement: Placement, reference: Placement, constraints: Sequence[Constraint]
    ) -> None:
        self.design, self.placement, self.reference = design, placement, reference
        self.box = np.stack(design.boxes(placement), axis=1)
        self.slack = rounding(design)
        self.per = design.per_um or 1.0
        self.still = design.fixed | (design.kind == Kind.PORT)
        for c in constraints:
            if isinstance(c, Fixed):
                self.still[self._cells(c)] = True

    def breaking(self, constraint: Constraint) -> Ints:
        """(K,) the cells at fault."""
        match constraint:
            case Keepout(box=box):
                return np.flatnonzero(~self.still & self._overlap(np.array(box) * self.per))
            case Halo():
                return self._too_near(self._cells(constraint), constraint.width * self.per)
            case Region(exclusive=True):
                return np.union1d(self._outside(constraint), self._intruders(constraint))
        cells = self._cells(constraint)
        return cells[~self._holds(constraint, cells)]

    def _cells(self, constraint: Any) -> Ints:
        cells = named(self.design, constraint.cells, f"constraint `{constraint}`")
        return cells[self.design.kind[cells] != Kind.PORT]

    def _holds(self, constraint: Constraint, cells: Ints) -> Bools:
        box = self.box[cells]
        with np.errstate(invalid="ignore"):
            match constraint:
                case Fixed():
                    return self._unmoved(cells)
                case Region():
                    return ~np.isin(cells, self._outside(constraint))
                case Edge(side=side):
                    return self._gap_to(side, cells) <= self.slack + self._site(cells)
                case Group(within=within):
                    wide = np.array([box[:, 2:].max(axis=0) - box[:, :2].min(axis=0)])
                    return np.full(len(cells), bool((wide <= within * self.per + self.slack).all()))
                case Align(line=line):
                    at = self._line(line, box)
                    return np.full(len(cells), bool(at.max() - at.min() <= self.slack))
                case Orient(allowed=allowed):
                    return np.isin(self.placement.orient[cells], [orient.CODES[a] for a in allowed])
        raise TypeError(f"no proof for {constraint!r}")

    def _outside(self, region: Region) -> Ints:
        """Of the region's cells those that its boxes together do not cover, but for rounding."""
        boxes, cells = np.array(region.boxes) * self.per, self._cells(region)
        own = self.box[cells]
        covered = np.zeros(len(cells), np.bool_)
        with np.errstate(invalid="ignore"):
            for box in boxes:
                over = np.maximum(box[:2] - own[:, :2], own[:, 2:] - box[2:])
                covered |= np.logical_and.reduce(over <= self.slack, axis=1)
        for i in np.flatnonzero(~covered & np.isfinite(own).all(axis=1)) if len(boxes) > 1 else ():
            covered[i] = free_area(own[i] + self.slack * np.array([1, 1, -1, -1]), boxes) <= 0
        return cells[~covered]

    def _intruders(self, region: Region) -> Ints:
        """Movable cells that a region does not name and that overlap it."""
        others = ~self.still
        others[self._cells(region)] = False
        within = [self._overlap(np.array(box) * self.per) for box in region.boxes]
        return np.flatnonzero(others & np.logical_or.reduce(within))

    def _unmoved(self, cells: Ints) -> Bools:
        now, then = self.placement, self.reference
        near: Bools = (np.abs(now.x - then.x) <= self.slack) & (np.abs(now.y - then.y) <= self.slack)
        same: Bools = near & (now.orient == then.orient)
        return same[cells]

    def _gap_to(self, side: str, cells: Ints) -> Floats:
        """Distance from a cell's side to the die's, or to the end of the rows for standard cells."""
        which = ("left", "bottom", "right", "top").index(side)
        rows, ends = self.design.rows, np.full(len(cells), self.design.die[which])
        if len(rows):
            around = (rows.x.min(), rows.y.min(), rows.right.max(), (rows.y + rows.height).max())
            ends = np.where(self.design.kind[cells] == Kind.CELL, around[which], ends)
        return np.abs(self.box[cells, which] - ends)

    def _site(self, cells: Ints) -> Floats:
        rows = self.design.rows
        site = float(rows.spacing.max()) if len(rows) else 0.0
        return np.where(self.design.kind[cells] == Kind.CELL, site, 0.0)

    @staticmethod
    def _line(line: str, box: Floats) -> Floats:
        if line in ("x", "y"):
            axis = "xy".index(line)
            return (box[:, axis] + box[:, axis + 2]) / 2
        return box[:, ("left", "bottom", "right", "top").index(line)]

    def _overlap(self, box: Floats) -> Bools:
        """Cells that overlap a box by more than rounding both ways."""
        with np.errstate(invalid="ignore"):
            wide = np.minimum(self.box[:, 2:], box[2:]) - np.maximum(self.box[:, :2], box[:2])
            return np.logical_and.reduce(wide > self.slack, axis=1)

    def _too_near(self, macros: Ints, width: float) -> Ints:
        """Hard macros with another hard object, not both fixed, nearer than `width`."""
        hard = (self.design.kind == Kind.CELL) | (self.design.kind == Kind.MACRO)
        grown = np.array([-width, -width, width, width])
        found = []
        for macro in macros[self.design.kind[macros] == Kind.MACRO]:
            others = hard & self._overlap(self.box[macro] + grown)
            others[macro] = False
            others &= ~(self.still & self.still[macro])
            if others.any():
                found.append(macro)
        return np.array(found, dtype=np.int64)
