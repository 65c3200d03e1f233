"""Is a placement legal? An independent check: it knows designs and placements, and nothing of how they were made.

Legal means: every movable cell has a place, inside the die; no two hard objects (standard cells, hard macros) overlap; and where the
format has rows, every movable standard cell stands on a row, on its sites, covered by rows over its whole height. Pairs of two fixed
objects are the floorplan's own affair. Soft macros may overlap. Ports block nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement, Rows

COUNTED = 1_000_000
"""Overlapping pairs counted before the check has seen enough: n cells in one heap make n squared."""
KEPT = 1000


@dataclass(frozen=True)
class Overlaps:
    """`pairs`: (K, 2) indices of cells, the first KEPT of `count`; `area`: their total, in the design's unit squared. A cell made of
    several rectangles counts once for each. `complete` is False where counting stopped at COUNTED: both are then lower bounds."""

    pairs: Ints
    count: int
    area: float

    @property
    def complete(self) -> bool:
        return self.count < COUNTED

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class Legality:
    """(K,) indices of the cells at fault, and the pairs of cells that overlap."""

    unplaced: Ints
    overlaps: Overlaps
    out_of_die: Ints
    off_row: Ints
    off_site: Ints

    @property
    def legal(self) -> bool:
        found = (self.unplaced, self.overlaps, self.out_of_die, self.off_row, self.off_site)
        return not any(len(cells) for cells in found)


def check(design: Design, placement: Placement) -> Legality:
    """Everything wrong with a placement."""
    placed = np.isfinite(placement.x) & np.isfinite(placement.y)
    movable = ~design.fixed & (design.kind != Kind.PORT)
    off_row, off_site = _off_rows(design, placement, movable & placed & (design.kind == Kind.CELL))
    return Legality(
        unplaced=np.flatnonzero(~placed & movable),
        overlaps=overlaps(design, placement),
        out_of_die=np.flatnonzero(movable & placed & _outside(design, placement)),
        off_row=off_row,
        off_site=off_site,
    )


def overlaps(design: Design, placement: Placement) -> Overlaps:
    """Pairs of hard objects, one of them movable at least, that overlap by more than the tolerance both ways."""
    left, bottom, right, top, owner = _hard_boxes(design, placement)
    order = np.argsort(left, kind="stable")
    boxes = np.stack([left, bottom, right, top], axis=1)[order]
    pairs = np.empty((KEPT, 2), np.int64)
    fixed = design.fixed[owner]
    count, area = _sweep(boxes, owner[order], fixed[order], design.tolerance, pairs, COUNTED)
    return Overlaps(pairs[: min(count, KEPT)], count, area)


def _hard_boxes(design: Design, placement: Placement) -> tuple[Floats, Floats, Floats, Floats, Ints]:
    """Boxes of the placed standard cells and hard macros and whose they are; a cell of several rectangles gives several."""
    sides = np.stack(design.boxes(placement))
    hard = np.isfinite(placement.x) & ((design.kind == Kind.CELL) | (design.kind == Kind.MACRO))
    hard &= (design.width > 0) & (design.height > 0)
    parts, owners = [], []
    for cell, rects in design.rects.items():
        if hard[cell]:
            hard[cell] = False
            moved = [placement.x[cell] - design.initial.x[cell], placement.y[cell] - design.initial.y[cell]]
            parts.append((rects + np.array(moved * 2)).T)
            owners.append(np.full(len(rects), cell))
    single = np.flatnonzero(hard)
    boxes = np.concatenate([sides[:, single], *parts], axis=1)
    left, bottom, right, top = boxes
    return left, bottom, right, top, np.concatenate([single, *owners]).astype(np.int64)


@njit(cache=True)
def _sweep(
    boxes: np.ndarray, owner: np.ndarray, fixed: np.ndarray, tolerance: float, pairs: np.ndarray, most: int
) -> tuple[int, float]:
    """Boxes sorted by their left edge, each against those that begin before it ends. Fills `pairs` as far as it goes."""
    count, area = 0, 0.0
    for i in range(len(boxes)):
        for j in range(i + 1, len(boxes)):
            wide = min(boxes[i, 2], boxes[j, 2]) - boxes[j, 0]
            if boxes[j, 0] >= boxes[i, 2] or count >= most:
                break
            high = min(boxes[i, 3], boxes[j, 3]) - max(boxes[i, 1], boxes[j, 1])
            if min(wide, high) > tolerance and owner[i] != owner[j] and not (fixed[i] and fixed[j]):
                if count < len(pairs):
                    pairs[count, 0], pairs[count, 1] = owner[i], owner[j]
                count += 1
                area += wide * high
    return count, area


def _outside(design: Design, placement: Placement) -> Bools:
    left, bottom, right, top = design.boxes(placement)
    die, slack = design.die, design.tolerance
    with np.errstate(invalid="ignore"):
        low = (left < die[0] - slack) | (bottom < die[1] - slack)
        return low | (right > die[2] + slack) | (top > die[3] + slack)


def _off_rows(design: Design, placement: Placement, asked: Bools) -> tuple[Ints, Ints]:
    """Of the cells asked for: those that no rows cover from bottom to top, and those on rows but between sites."""
    cells = np.flatnonzero(asked)
    if not len(design.rows) or not len(cells):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    left, bottom, right, top = (side[cells] for side in design.boxes(placement))
    slack = max(design.tolerance, 1e-9)
    rows = _Covering(design.rows, slack)
    first = rows.under(left, bottom, right)
    covered = first >= 0
    at = first.copy()
    level = bottom + np.where(covered, design.rows.height[at], 0)
    while (more := covered & (level < top - slack)).any():
        at = np.where(more, rows.under(left, level, right), at)
        covered &= ~more | (at >= 0)
        level = np.where(more & covered, level + design.rows.height[at], level)
    steps = (left - design.rows.x[first]) / design.rows.spacing[first]
    between = covered & (np.abs(steps - np.round(steps)) * design.rows.spacing[first] > slack)
    return cells[~covered], cells[between]


class _Covering:
    """Finds the row that begins at a height and spans an interval."""

    def __init__(self, rows: Rows, slack: float) -> None:
        self.order = np.lexsort((rows.x, rows.y))
        self.y, self.x, self.right = rows.y[self.order], rows.x[self.order], rows.right[self.order]
        levels = np.concatenate([[0], np.cumsum(np.diff(self.y) > slack)]) if len(rows) else np.empty(0)
        self.level_y = self.y[np.flatnonzero(np.diff(levels, prepend=-1))]
        self.span = float(self.right.max() - self.x.min()) + 1.0
        self.key = levels * self.span + (self.x - self.x.min())
        self.levels, self.slack = levels, slack

    def under(self, left: Floats, bottom: Floats, right: Floats) -> Ints:
        """(K,) index of the row, -1 where there is none."""
        level = np.searchsorted(self.level_y, bottom - self.slack)
        near = np.minimum(level, len(self.level_y) - 1)
        offset = np.clip(left - self.x.min() + self.slack, -1, self.span - 0.5)
        at = np.searchsorted(self.key, near * self.span + offset, side="right") - 1
        found = (np.abs(self.level_y[near] - bottom) <= self.slack) & (at >= 0)
        found &= (self.levels[at] == near) & (self.right[at] >= right - self.slack)
        return np.where(found, self.order[at], -1)
