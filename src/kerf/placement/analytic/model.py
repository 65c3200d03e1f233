"""A design as global placement sees it: charged boxes in bins, and nets on them.

Objects are numbered small movable cells, large movable cells, fillers, and last one that stays at the origin and owns every pin that does not move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kerf.core.types import KerfError
from kerf.placement import orient
from kerf.placement.analytic.field_kernels import PAD, spread_large
from kerf.placement.analytic.options import GlobalOptions
from kerf.placement.analytic.wirelength import Wirelength
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.rules import Rules

Singles = NDArray[np.float32]

STRETCH = np.sqrt(2.0)
"""Boxes narrower than this many bins are widened to it and thinned: the force on a box inside one bin would be blind to its neighbours."""
SMALL = 2.0
LEAST_FILL = 1.0
MAXB = 1e9
"""Bins along each side up to which a box counts as small."""


@dataclass(frozen=True)
class Region:
    """Where cells go: the box around the rows, or the die, cut into columns x rows bins of `wide` x `high` in the design's unit."""

    left: float
    bottom: float
    wide: float
    high: float
    columns: int
    rows: int

    @property
    def aspect(self) -> float:
        return self.high / self.wide

    def across(self, x: Floats) -> Floats:
        return (x - self.left) / self.wide

    def along(self, y: Floats) -> Floats:
        return (y - self.bottom) / self.high


@dataclass(frozen=True)
class Model:
    """N movable objects, F fillers. cells: (N,) index in the design. half_w, half_h, density: (N + F,) boxes as charged, in bins.
    low_x .. high_y: (N + F,) where centres may be. pins: (N + F,) weight of each object's nets. area: (N + F,) charge.
    blocked: (columns, rows) share of each bin that is taken. `small` objects come first."""

    region: Region
    cells: Ints
    small: int
    half_w: Singles
    half_h: Singles
    density: Singles
    area: Singles
    low_x: Singles
    high_x: Singles
    low_y: Singles
    high_y: Singles
    pins: Singles
    blocked: Singles
    target: float
    nets: Wirelength

    @property
    def movable(self) -> int:
        return len(self.cells)

    @property
    def objects(self) -> int:
        return len(self.half_w)


def region_of(design: Design, bins: int) -> Region:
    """About `bins` bins, as square as whole numbers that transform fast allow."""
    from scipy import fft

    left, bottom, right, top = design.die
    if len(design.rows):
        rows = design.rows
        left, right = max(left, rows.x.min()), min(right, rows.right.max())
        bottom, top = max(bottom, rows.y.min()), min(top, (rows.y + rows.height).max())
    side = np.sqrt((right - left) * (top - bottom) / bins)
    columns = int(fft.next_fast_len(max(4, round((right - left) / side))))
    along = int(fft.next_fast_len(max(4, round((top - bottom) / side))))
    return Region(left, bottom, (right - left) / columns, (top - bottom) / along, columns, along)


def build(
    design: Design, placement: Placement, rules: Rules, options: GlobalOptions, rng: np.random.Generator
) -> Model:
    """Cut the region into bins, charge cells and fillers, sort the nets. Raises KerfError where the cells cannot fit."""
    movable = np.flatnonzero(~rules.fixed)
    width, height = design.extent(placement)
    halo = np.where(design.kind == Kind.MACRO, rules.halo, 0.0)
    width, height = width + 2 * halo, height + 2 * halo
    free_estimate, mean = _mean_area(design, rules, movable, width * height)
    bins = options.bins**2 if options.bins else int(np.clip(min(MAXB*len(movable), free_estimate / mean), 16 * 16, 1024 * 1024))
    region = region_of(design, bins)
    w, h = width / region.wide, height / region.high
    large = (np.maximum(w, STRETCH) > SMALL) | (np.maximum(h, STRETCH) > SMALL)
    cells = np.concatenate([movable[~large[movable]], movable[large[movable]]])
    small = int((~large[movable]).sum())
    blocked = _blocked(design, placement, rules, region)
    free = float((1.0 - blocked).sum())
    area = (w * h)[cells]
    hard = design.kind[cells] == Kind.MACRO
    target = _target(design, float(area[~hard].sum()), float(area[hard].sum()), free, options)
    charge = np.where(hard, target, 1.0) * area
    filler_w, filler_h, fillers = _fillers(w[cells[:small]], h[cells[:small]], target * free - charge.sum())
    every_w = np.concatenate([w[cells], np.full(fillers, filler_w)])
    every_h = np.concatenate([h[cells], np.full(fillers, filler_h)])
    drawn_w, drawn_h = np.maximum(every_w, STRETCH), np.maximum(every_h, STRETCH)
    charges = np.concatenate([charge, np.full(fillers, filler_w * filler_h)])
    low_x, high_x, low_y, high_y = _limits(rules.box, region, cells, drawn_w, drawn_h, every_w, every_h)
    single = np.float32
    nets = Wirelength.of(design, placement, rules, options, region, cells, len(every_w))
    return Model(
        region=region,
        cells=cells,
        small=small,
        half_w=(drawn_w / 2).astype(single),
        half_h=(drawn_h / 2).astype(single),
        density=(charges / (drawn_w * drawn_h)).astype(single),
        area=charges.astype(single),
        low_x=low_x,
        high_x=high_x,
        low_y=low_y,
        high_y=high_y,
        pins=nets.pin_weights(len(every_w)),
        blocked=blocked,
        target=target,
        nets=nets,
    )


def _mean_area(design: Design, rules: Rules, movable: Ints, area: Floats) -> tuple[float, float]:
    left, bottom, right, top = design.die
    cells = movable[design.kind[movable] != Kind.MACRO]
    chosen = area[cells if len(cells) else movable]
    return (right - left) * (top - bottom), float(chosen.mean()) if chosen.sum() > 0 else 1.0


def _blocked(design: Design, placement: Placement, rules: Rules, region: Region) -> Singles:
    """What fixed objects, keepouts and the lack of rows take of each bin, at most all of it."""
    charge = np.zeros((region.columns + PAD, region.rows + PAD), np.float32)
    hard = rules.fixed & (design.kind <= Kind.MACRO) & np.isfinite(placement.x)
    for cell in np.flatnonzero(hard & np.isin(np.arange(design.cells), list(design.rects))):
        hard[cell] = False
        moved = [placement.x[cell] - design.initial.x[cell], placement.y[cell] - design.initial.y[cell]]
        _add(region, design.rects[cell] + np.array(moved * 2), 1.0, charge)
    sides = np.stack(design.boxes(placement), axis=1)[hard]
    _add(region, sides, 1.0, charge)
    _add(region, rules.keepouts, 1.0, charge)
    blocked = charge[: region.columns, : region.rows]
    if len(design.rows):
        rows = design.rows
        covered = np.zeros_like(charge)
        table = np.stack([rows.x, rows.y, rows.right, rows.y + rows.height], axis=1)
        _add(region, table, 1.0, covered)
        blocked = blocked + np.clip(1.0 - covered[: region.columns, : region.rows], 0.0, 1.0)
        blocked[blocked < 1e-4] = 0.0
    return np.minimum(blocked, 1.0)


def _add(region: Region, rects: Floats, density: float, charge: Singles) -> None:
    left, right = region.across(rects[:, 0]), region.across(rects[:, 2])
    bottom, top = region.along(rects[:, 1]), region.along(rects[:, 3])
    spread_large(left, bottom, right, top, np.full(len(rects), density), charge)


def _target(design: Design, cells: float, macros: float, free: float, options: GlobalOptions) -> float:
    """The target density asked for, or 1; at least what the cells need. Macros fill their place whatever the target is."""
    if free <= 0 or cells + macros > free * (1 + 1e-6):
        raise KerfError(
            f"{design.name}: the movable cells and macros with their halos need {100 * (cells + macros) / max(free, 1e-9):.1f} % "
            f"of the free area of rows and die; enlarge the die, or shrink halos, keepouts and fixed blocks"
        )
    need = cells / max(free - macros, 1e-9)
    return float(min(1.0, max(options.target_density or 1.0, need)))


def _fillers(w: Floats, h: Floats, missing: float) -> tuple[float, float, int]:
    """Width, height and number of the fillers: of the mean small cell, or of a bin where that is larger."""
    if missing <= 0:
        return 1.0, 1.0, 0
    order = np.sort(w)[len(w) // 20 : max(len(w) - len(w) // 20, 1)]
    wide = float(np.clip(order.mean() if len(order) else 1.0, LEAST_FILL, SMALL))
    high = float(np.clip(h.mean() if len(h) else 1.0, LEAST_FILL, SMALL))
    return wide, high, int(missing / (wide * high))


def _limits(
    boxes: Floats, region: Region, cells: Ints, w: Floats, h: Floats, true_w: Floats, true_h: Floats
) -> tuple[Singles, Singles, Singles, Singles]:
    """Where the centres may be: the drawn box in the region, the cell's own box in its rule's; the middle where there is no room."""
    n = len(cells)
    low_x, high_x = w / 2, region.columns - w / 2
    low_y, high_y = h / 2, region.rows - h / 2
    box = boxes[cells]
    low_x[:n] = np.maximum(low_x[:n], region.across(box[:, 0]) + true_w[:n] / 2)
    high_x[:n] = np.minimum(high_x[:n], region.across(box[:, 2]) - true_w[:n] / 2)
    low_y[:n] = np.maximum(low_y[:n], region.along(box[:, 1]) + true_h[:n] / 2)
    high_y[:n] = np.minimum(high_y[:n], region.along(box[:, 3]) - true_h[:n] / 2)
    return (*_ordered(low_x, high_x, region.columns), *_ordered(low_y, high_y, region.rows))


def _ordered(low: Floats, high: Floats, bins: int) -> tuple[Singles, Singles]:
    middle = (low + high) / 2
    crossed = low > high
    low, high = np.where(crossed, middle, low), np.where(crossed, middle, high)
    inside = np.float32(bins) * np.float32(1 - 1e-6)
    return low.astype(np.float32), np.minimum(high, inside).astype(np.float32)
