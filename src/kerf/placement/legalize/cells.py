"""Standard cells onto rows and sites."""

from __future__ import annotations

import numpy as np

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.hpwl import hpwl
from kerf.placement.legalize import abacus, rescue
from kerf.placement.legalize.abacus import Cells
from kerf.placement.legalize.segments import Segments, inside
from kerf.placement.legalize.sites import ALMOST, Sites, carve_all, free_sites
from kerf.placement.legalize.tall import nearest_place
from kerf.placement.rules import Rules
from kerf.placement.steps import Step, Watch, unwatched


def legalize_cells(
    design: Design,
    placement: Placement,
    rules: Rules,
    *,
    watch: Watch = unwatched,
) -> Placement:
    """Every movable standard cell on a row and its sites, inside its box, clear of fixed objects, hard macros where they stand,
    their halos, the keepouts and what their zones are barred from; as near as may be to where `placement` has it (NaN: the middle of its box).

    One pass of a second per million cells, on one thread, that ends when it is legal. Cells higher than a row go first,
    then the others, box by box. Raises KerfError with cells, areas and utilization where they do not fit."""
    movable = ~rules.fixed & (design.kind == Kind.CELL)
    placed = prepared(design, placement, rules, movable)
    total = int(movable.sum())
    heights = design.extent(placed)[1]
    grounds = _grounds(design, obstacles(design, placement, rules, movable), rules, heights[movable])
    high = _commonest(grounds[0])
    tall = movable & (heights > high * (1 + ALMOST))
    for cell in _largest_first(design, np.flatnonzero(tall)):
        _place_tall(design, placed, rules, grounds[rules.zone[cell]], cell, high)
        _carve(grounds, design, placed, np.array([cell]))
    for cells in _groups(rules, np.flatnonzero(movable & ~tall)):
        _place_group(design, placed, rules, grounds[rules.zone[cells[0]]], cells)
        _carve(grounds, design, placed, cells)
    watch(Step("legalize", total, total, hpwl=hpwl(design, placed), placement=placed))
    return placed


def _grounds(design: Design, taken: Floats, rules: Rules, later: Floats) -> list[Sites]:
    """For each zone the sites that its cells may use."""
    return [free_sites(design, np.concatenate([taken, zone.barred]), later) for zone in rules.zones]


def _carve(grounds: list[Sites], design: Design, placed: Placement, cells: Ints) -> None:
    boxes = np.stack(design.boxes(placed), axis=1)[cells]
    for sites in grounds:
        carve_all(sites, boxes)


def _commonest(sites: Sites) -> float:
    """The height of most rows."""
    heights, times = np.unique(sites.height, return_counts=True)
    return float(heights[np.argmax(times)]) if len(heights) else np.inf


def _largest_first(design: Design, cells: Ints) -> Ints:
    return cells[np.argsort(-(design.width * design.height)[cells], kind="stable")]


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
    """Cells that share a box and a zone, the smallest boxes first: who may go to few places chooses before who may go anywhere."""
    table = np.column_stack([rules.box[cells], rules.zone[cells]])
    boxes, which = np.unique(table, axis=0, return_inverse=True)
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return [cells[which == k] for k in np.argsort(area, kind="stable")]


def _place_tall(
    design: Design, placed: Placement, rules: Rules, sites: Sites, cell: int, high: float
) -> None:
    """A cell of several rows. One of an even number stands only where its rails meet the rows', if such a place is free."""
    left, bottom, right, top = (float(side[cell]) for side in design.boxes(placed))
    size = right - left, top - bottom
    even = round(size[1] / high) % 2 == 0 and _heeds_rows(design)
    x, y, row = nearest_place(sites, rules.box[cell], left, bottom, *size, even)
    if row < 0 and even:
        x, y, row = nearest_place(sites, rules.box[cell], left, bottom, *size, False)
    if row < 0:
        raise KerfError(
            f"legalization: cell {design.cell_names[cell]}, {size[0]:g} x {size[1]:g} {design.unit}, higher than "
            f"a row, finds no free place on rows within {_said(rules.box[cell])}: give it room, or fix it where it may stand"
        )
    placed.x[cell], placed.y[cell] = x + size[0] / 2, y + size[1] / 2
    _stand(design, placed, rules, np.array([cell]), sites.flipped[[row]])


def _place_group(design: Design, placed: Placement, rules: Rules, sites: Sites, which: Ints) -> None:
    """Into `placed`: cells of one box onto what is free in it."""
    box = rules.box[which[0]]
    segs = inside(sites, box)
    left, bottom, right, top = (side[which] for side in design.boxes(placed))
    width, height = right - left, top - bottom
    cells = Cells(left, bottom, width, height, np.maximum(width, 1e-9))
    order = np.argsort(left, kind="stable")
    chosen = _chosen(segs, cells, order)
    if (chosen < 0).any():
        raise _no_room(design, segs, cells, which, chosen, box)
    placed.x[which] = abacus.settle(segs, cells, chosen, order) + width / 2
    placed.y[which] = segs.y[chosen] + height / 2
    _stand(design, placed, rules, which, segs.flipped[chosen])


def _chosen(segs: Segments, cells: Cells, order: Ints) -> Ints:
    """The segment of each cell: by Abacus, then by making room, then from nothing with more regard to room than to distance; -1 where
    none of them found any."""
    chosen: Ints = abacus.assign(segs, cells, order)
    if (chosen < 0).any():
        chosen = rescue.make_room(segs, cells, chosen)
    for start in (rescue.widest_first, rescue.fullest):
        if (chosen < 0).any():
            chosen = start(segs, cells)
    return chosen


def _no_room(
    design: Design, segs: Segments, cells: Cells, which: Ints, chosen: Ints, box: Floats
) -> KerfError:
    lost = np.flatnonzero(chosen < 0)
    names = ", ".join(design.cell_names[i] for i in which[lost[:3]]) + (", ..." if len(lost) > 3 else "")
    need, free = float(cells.width.sum()), float((segs.pitch * segs.sites).sum())
    widest = float((segs.pitch * segs.sites).max()) if len(segs.x) else 0.0
    return KerfError(
        f"legalization: {len(lost)} of {len(which)} standard cells find no place ({names}): on the rows within {_said(box)} they need "
        f"{need:g} {design.unit} of {free:g} free ({100 * need / free if free else np.inf:.1f} %), the longest free stretch being {widest:g} and "
        f"the widest of them {cells.width[lost].max():g}: free some of the rows, or widen the region"
    )


def _said(box: Floats) -> str:
    return f"({box[0]:g}, {box[1]:g}) .. ({box[2]:g}, {box[3]:g})"


def _heeds_rows(design: Design) -> bool:
    """Whether cells must stand as their rows do. Bookshelf's rows have orientations too, but published placements leave cells upright."""
    return design.format != "bookshelf"


def _stand(design: Design, placed: Placement, rules: Rules, which: Ints, flipped: Bools) -> None:
    """Upside down where the row is, as far as the rules allow."""
    if not _heeds_rows(design):
        return
    code = placed.orient[which]
    wrong = ~orient.TURNED[code] & (UPSIDE_DOWN[code] != flipped)
    over = np.where(wrong, OVER[code], code)
    placed.orient[which] = np.where(rules.orients[which, over], over, code)


OVER = np.array([orient.FS, orient.FE, orient.FN, orient.FW, orient.S, orient.E, orient.N, orient.W])
"""(8,): each orientation flipped about the x axis."""
UPSIDE_DOWN = orient.MATRICES[:, 1, 1] < 0
