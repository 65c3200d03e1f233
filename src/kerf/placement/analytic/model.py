"""A design as global placement sees it: charged boxes in bins, and nets on them.

Objects are numbered small movable cells, large movable cells, fillers, and last one that stays at the origin and owns every pin that does
not move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kerf.core.types import KerfError
from kerf.placement.analytic import budget
from kerf.placement.analytic.options import GlobalOptions
from kerf.placement.analytic.region import Region, blocked
from kerf.placement.analytic.wirelength import Wirelength
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.rules import Rules

Singles = NDArray[np.float32]

STRETCH = 1.4142
"""Boxes narrower than this many bins are widened to it and thinned: inside one bin they would be blind to its neighbours."""
SMALL = 2.0
"""Bins along each side up to which a box counts as small."""


@dataclass(frozen=True)
class Boxes:
    """(K,) each: half the sides as charged, in bins; charge per area, and in all."""

    half_w: Singles
    half_h: Singles
    density: Singles
    area: Singles

    @staticmethod
    def of(width: Floats, height: Floats, area: Floats) -> Boxes:
        w, h = np.maximum(width, STRETCH), np.maximum(height, STRETCH)
        return Boxes(*(a.astype(np.float32) for a in (w / 2, h / 2, area / (w * h), area)))


Span = tuple[int, int]


@dataclass(frozen=True)
class Ground:
    """What one field spreads: the objects first .. last of the small cells, the large ones and the fillers that share an area. blocked:
    (columns, rows) share of each bin that is taken, or closed to them. target: the share of the rest that may be filled."""

    small: Span
    large: Span
    fillers: Span
    blocked: Singles
    target: float


@dataclass(frozen=True)
class Model:
    """N movable cells, `small` of them small, and F fillers. cells: (N,) index in the design. boxes: (N + F,). low, high: (2, N + F) where
    centres may be, x and y. pins: (N + F,) weight of each object's nets. grounds: one, and one more for each fence (the multiple
    electric fields of Gu et al., DREAMPlace 3.0, ICCAD 2020)."""

    region: Region
    cells: Ints
    small: int
    boxes: Boxes
    low: Singles
    high: Singles
    pins: Singles
    grounds: tuple[Ground, ...]
    nets: Wirelength

    @property
    def movable(self) -> int:
        return len(self.cells)

    @property
    def objects(self) -> int:
        return len(self.pins)

    def places(self, placement: Placement) -> Singles:
        """(2, N): where a placement has the movable cells, in bins; NaN where it does not say."""
        x, y = self.region.across(placement.x[self.cells]), self.region.along(placement.y[self.cells])
        return np.stack([x, y]).astype(np.float32)

    def placement(self, at: Singles, start: Placement) -> Placement:
        """The start, with the movable cells at (2, N or more), in bins."""
        moved = start.copy()
        n, r = self.movable, self.region
        moved.x[self.cells] = at[0, :n].astype(np.float64) * r.wide + r.left
        moved.y[self.cells] = at[1, :n].astype(np.float64) * r.high + r.bottom
        return moved


def build(
    design: Design, placement: Placement, rules: Rules, options: GlobalOptions, swell: Floats | None = None
) -> Model:
    """The model of a design. placement: of what is fixed, and all orientations. swell: (C,) factor on each cell's width.

    Raises KerfError where a cell is larger than its box, or all of them than the free area."""
    movable = ~rules.fixed
    sizes = _sizes(design, placement, rules, swell)
    _check_boxes(design, placement, rules, movable)
    region = Region.of(design, _bins(design, movable, sizes), options.bins)
    w, h = sizes[0] / region.wide, sizes[1] / region.high
    large = movable & ((w > SMALL) | (h > SMALL))
    ground = np.array([zone.ground for zone in rules.zones])[rules.zone]
    cells = np.concatenate([_in_order(movable & ~large, ground), _in_order(large, ground)])
    small, w, h, ground = len(cells) - int(large.sum()), w[cells], h[cells], ground[cells]
    solid, charge, first = design.kind[cells] == Kind.MACRO, w * h, len(cells)
    grounds, fills = [], []
    for number in np.unique(ground):
        mine = ground == number
        closed = next(zone.closed for zone in rules.zones if zone.ground == number)
        taken = blocked(design, placement, rules, region, closed)
        free = float((1.0 - taken).sum())
        target = _target(design, charge[mine], solid[mine], free, options)
        charge[mine & solid] *= target
        own = mine[:small]
        fill = budget.fillers(w[:small][own], h[:small][own], target * free - float(charge[mine].sum()))
        ends = first, first + fill.count
        grounds.append(Ground(_span(own), _span(mine[small:], small), ends, taken, target))
        fills.append(fill)
        first = ends[1]
    w, h = (
        np.concatenate([own, *(np.full(fill.count, getattr(fill, side)) for fill in fills)])
        for own, side in ((w, "width"), (h, "height"))
    )
    boxes = Boxes.of(w, h, np.concatenate([charge, (w * h)[len(cells) :]]))
    low, high = _limits(rules.box[cells], region, boxes, w, h)
    nets = Wirelength.of(design, placement, rules, options, region, cells, len(w))
    pins = nets.pin_weights(len(w))
    return Model(region, cells, small, boxes, low, high, pins, tuple(grounds), nets)


def _target(design: Design, area: Floats, solid: Bools, free: float, options: GlobalOptions) -> float:
    """How full the bins of a ground may be, from the areas of its cells and macros."""
    room = budget.ROOM_KEPT if options.keep_start else budget.ROOM
    cells, macros = float(area[~solid].sum()), float(area[solid].sum())
    return budget.target_density(design.name, cells, macros, free, options.target_density, room)


def _in_order(which: Bools, ground: Ints) -> Ints:
    """Cells, those of one ground side by side."""
    cells = np.flatnonzero(which)
    return cells[np.argsort(ground[cells], kind="stable")]


def _span(which: Bools, shift: int = 0) -> Span:
    """From the first to after the last that is true, all between being so too."""
    found = np.flatnonzero(which)
    return (int(found[0]) + shift, int(found[-1]) + shift + 1) if len(found) else (shift, shift)


def _sizes(design: Design, placement: Placement, rules: Rules, swell: Floats | None) -> Floats:
    """(2, C) width and height with halos."""
    halo = np.where(design.kind == Kind.MACRO, rules.halo, 0.0)
    w, h = design.extent(placement)
    return np.stack([w * (1.0 if swell is None else swell) + 2 * halo, h + 2 * halo])


def _bins(design: Design, movable: Bools, sizes: Floats) -> float:
    """One for each movable cell; fewer where cells, macros aside, are so large that they would all span bins."""
    left, bottom, right, top = design.die
    area = (sizes[0] * sizes[1])[movable & (design.kind != Kind.MACRO)]
    mean = float(area.mean()) if len(area) else 0.0
    by_area = (right - left) * (top - bottom) / mean if mean > 0 else np.inf
    return float(min(by_area, movable.sum()))


def _check_boxes(design: Design, placement: Placement, rules: Rules, movable: Bools) -> None:
    w, h = design.extent(placement)
    left, bottom, right, top = rules.box.T
    slack = design.tolerance + 1e-9 * np.abs(rules.box).max(initial=0.0)
    over = np.flatnonzero(movable & ((w > right - left + slack) | (h > top - bottom + slack)))
    if len(over):
        c = over[0]
        raise KerfError(
            f"{design.name}: cell {design.cell_names[c]} is {w[c]:g} x {h[c]:g} {design.unit}, "
            f"larger than the {right[c] - left[c]:g} x {top[c] - bottom[c]:g} that it must stay in"
        )


def _limits(box: Floats, region: Region, boxes: Boxes, w: Floats, h: Floats) -> tuple[Singles, Singles]:
    """(2, N + F) each: the charged box stays in the region, and the cell's own in its rule's box where there is room for both."""
    n = len(box)
    low, high = np.empty((2, len(w)), np.float32), np.empty((2, len(w)), np.float32)
    x, y = region.across(box[:, 0::2].T), region.along(box[:, 1::2].T)
    for axis, (sides, half, size, bins) in enumerate(
        ((x, boxes.half_w, w, region.columns), (y, boxes.half_h, h, region.rows))
    ):
        inner = np.minimum(half.astype(np.float64), bins / 2)
        least, most = inner.copy(), bins * (1 - 1e-6) - inner
        least[:n] = np.maximum(least[:n], sides[0] + size[:n] / 2)
        most[:n] = np.minimum(most[:n], sides[1] - size[:n] / 2)
        middle = (least + most) / 2
        crossed = least > most
        low[axis] = np.clip(np.where(crossed, middle, least), inner, bins * (1 - 1e-6) - inner)
        high[axis] = np.clip(np.where(crossed, middle, most), inner, bins * (1 - 1e-6) - inner)
    return low, high
