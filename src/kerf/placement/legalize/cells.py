"""Standard cells onto rows and sites."""

from __future__ import annotations

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legalize import abacus
from kerf.placement.legalize.abacus import Cells
from kerf.placement.legalize.segments import inside
from kerf.placement.legalize.sites import Sites, carve_all, free_sites
from kerf.placement.rules import Rules
from kerf.placement.steps import Deadline, Step, Watch, unwatched


def legalize_cells(
    design: Design,
    placement: Placement,
    rules: Rules,
    *,
    threads: int = 1,
    deadline: Deadline = Deadline(),
    watch: Watch = unwatched,
) -> Placement:
    """Every movable standard cell on a row and its sites, inside its box, clear of fixed objects, hard macros where they stand,
    their halos and the keepouts; as near as may be to where `placement` has it (NaN: the middle of its box)."""
    movable = ~rules.fixed & (design.kind == Kind.CELL)
    placed = prepared(design, placement, rules, movable)
    sites = free_sites(design, obstacles(design, placement, rules, movable), int(movable.sum()))
    for cells in _groups(rules, np.flatnonzero(movable)):
        _place_group(design, placed, rules, sites, cells)
        carve_all(sites, np.stack(design.boxes(placed), axis=1)[cells])
    done = int(movable.sum())
    watch(Step("legalize", done, done, hpwl=hpwl(design, placed), placement=placed))
    return placed


def prepared(design: Design, placement: Placement, rules: Rules, movable: Bools) -> Placement:
    """A copy in which every movable cell has a place and an orientation that the rules allow."""
    p = placement.copy()
    lost = movable & ~(np.isfinite(p.x) & np.isfinite(p.y))
    p.x[lost] = (rules.box[lost, 0] + rules.box[lost, 2]) / 2
    p.y[lost] = (rules.box[lost, 1] + rules.box[lost, 3]) / 2
    barred = movable & ~rules.orients[np.arange(design.cells), p.orient]
    p.orient[barred] = rules.orients[barred].argmax(axis=1)
    return p


def obstacles(design: Design, placement: Placement, rules: Rules, movable: Bools) -> Floats:
    """(K, 4) rectangles that the movable cells must keep clear of: other hard objects with their halos, and the keepouts."""
    hard = ((design.kind == Kind.CELL) | (design.kind == Kind.MACRO)) & ~movable
    boxes, owner = hard_rectangles(design, placement, hard)
    halo = rules.halo[owner]
    return np.concatenate([boxes + np.stack([-halo, -halo, halo, halo], axis=1), rules.keepouts])


def hard_rectangles(design: Design, placement: Placement, which: Bools) -> tuple[Floats, Ints]:
    """(K, 4) left, bottom, right, top of the rectangles that the placed ones among `which` consist of, and (K,) their owners."""
    which = (
        which & np.isfinite(placement.x) & np.isfinite(placement.y) & (design.width > 0) & (design.height > 0)
    )
    parts, owners = [np.empty((0, 4))], [np.empty(0, np.int64)]
    for cell, rects in design.rects.items():
        if which[cell]:
            which[cell] = False
            moved = [placement.x[cell] - design.initial.x[cell], placement.y[cell] - design.initial.y[cell]]
            parts.append(rects + np.array(moved * 2))
            owners.append(np.full(len(rects), cell))
    single = np.flatnonzero(which)
    parts.append(np.stack(design.boxes(placement), axis=1)[single])
    return np.concatenate(parts), np.concatenate([*owners, single])


def _groups(rules: Rules, cells: Ints) -> list[Ints]:
    """Cells that share a box, the smallest boxes first: who may go to few places chooses before who may go anywhere."""
    boxes, which = np.unique(rules.box[cells], axis=0, return_inverse=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return [cells[which == k] for k in np.argsort(area, kind="stable")]


def _place_group(design: Design, placed: Placement, rules: Rules, sites: Sites, which: Ints) -> None:
    """Into `placed`: cells of one box onto what is free in it."""
    segs = inside(sites, rules.box[which[0]])
    left, bottom, right, top = (side[which] for side in design.boxes(placed))
    width, height = right - left, top - bottom
    cells = Cells(left, bottom, width, height, np.maximum(width, 1e-9))
    order = np.argsort(left, kind="stable")
    chosen = abacus.assign(segs, cells, order)
    if (chosen < 0).any():
        raise KerfError(f"{(chosen < 0).sum()} left")
    at = abacus.settle(segs, cells, chosen, order)
    placed.x[which] = at + width / 2
    placed.y[which] = segs.y[chosen] + height / 2
    _stand(design, placed, rules, which, segs.flipped[chosen])


def _stand(design: Design, placed: Placement, rules: Rules, which: Ints, flipped: Bools) -> None:
    """Upside down where the row is, as far as the rules allow. Bookshelf's rows say nothing that its users heed: cells stay as they are."""
    if design.format == "bookshelf":
        return
    code = placed.orient[which]
    wrong = ~orient.TURNED[code] & (UPSIDE_DOWN[code] != flipped)
    over = np.where(wrong, OVER[code], code)
    placed.orient[which] = np.where(rules.orients[which, over], over, code)


OVER = np.array([orient.FS, orient.FE, orient.FN, orient.FW, orient.S, orient.E, orient.N, orient.W])
"""(8,): each orientation flipped about the x axis."""
UPSIDE_DOWN = orient.MATRICES[:, 1, 1] < 0
