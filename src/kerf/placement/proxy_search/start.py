"""A legal placement to begin with: every cell has a place in its box, hard macros none of another's.

Hard macros go, largest first, to the free place nearest to where they were; where that leaves no room for one, they are packed from the
lower left corner, tallest first.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numba import njit

from kerf.core.types import KerfError
from kerf.placement import legality
from kerf.placement.analytic import place_global
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.rules import Rules

SHARE = 0.8
"""Of the area that hard macros leave, what soft macros fill at most in global placement, where they shrink: their area is inflated, and
need not fit."""


def legal_start(design: Design, placement: Placement, rules: Rules, seed: int) -> Placement:
    """A placement that obeys the rules: the one given, if it does, or one near it. Where most cells have no place (NaN), one near a global
    placement. Raises KerfError naming a cell that cannot fit."""
    lost, movable = ~(np.isfinite(placement.x) & np.isfinite(placement.y)), ~rules.fixed
    if (lost & rules.fixed).any():
        cell = design.cell_names[int(np.argmax(lost & rules.fixed))]
        raise KerfError(f"{design.name}: {cell} is fixed and has no position; give it one, or do not fix it")
    if lawful(design, placement, rules):
        return placement
    if 2 * lost.sum() > movable.sum():
        placement = _global(design, placement, rules, seed)
    placed = _everywhere(design, placement, rules, seed)
    wide, high = design.extent(placed)
    _check_fit(design, rules, wide, high)
    placed = _inside(placed, rules, wide, high)
    return _off_keepouts(design, _legalized(design, placed, rules), rules, wide, high)


def lawful(design: Design, placement: Placement, rules: Rules) -> bool:
    """Does every movable cell obey the rules?"""
    if not legality.check(design, placement).legal:
        return False
    left, bottom, right, top = design.boxes(placement)
    box, slack = rules.box, design.tolerance
    outside = (left < box[:, 0] - slack) | (bottom < box[:, 1] - slack)
    outside |= (right > box[:, 2] + slack) | (top > box[:, 3] + slack)
    outside |= ~rules.orients[np.arange(design.cells), placement.orient]
    for x0, y0, x1, y1 in rules.keepouts.reshape(-1, 4):
        outside |= (left < x1 - slack) & (right > x0 + slack) & (bottom < y1 - slack) & (top > y0 + slack)
    return not (outside & ~rules.fixed).any() and not (
        rules.halo.any() and _halos_broken(design, placement, rules)
    )


def _halos_broken(design: Design, placement: Placement, rules: Rules) -> bool:
    hard = np.flatnonzero(_blocking(design))
    left, bottom, right, top = (side[hard] for side in design.boxes(placement))
    for k in np.flatnonzero(~rules.fixed[hard]):
        gap = np.maximum(rules.halo[hard], rules.halo[hard[k]]) - design.tolerance
        near = (
            (left < right[k] + gap)
            & (right > left[k] - gap)
            & (bottom < top[k] + gap)
            & (top > bottom[k] - gap)
        )
        near[k] = False
        if (near & (gap > 0)).any():
            return True
    return False


def _blocking(design: Design) -> Bools:
    hard = (design.kind == Kind.MACRO) | (design.kind == Kind.CELL)
    return hard & (design.width > 0) & (design.height > 0)


def _global(design: Design, placement: Placement, rules: Rules, seed: int) -> Placement:
    """Global placement with soft macros small enough to fit; the placement given where that fails, for annealing needs no good start."""
    area, soft = design.width * design.height, design.kind == Kind.SOFT
    left, bottom, right, top = design.die
    free = (right - left) * (top - bottom) - area[_blocking(design)].sum()
    side = np.where(soft, min(1.0, SHARE * max(free, 0.0) / max(area[soft].sum(), 1e-300)) ** 0.5, 1.0)
    small = replace(design, width=design.width * side, height=design.height * side)
    try:
        return place_global(small, placement, rules, seed=seed).placement
    except KerfError:
        return placement


def _legalized(design: Design, placed: Placement, rules: Rules) -> Placement:
    """Hard macros apart."""
    blocking = _blocking(design)
    wide, high = design.extent(placed)
    hard, walls = np.flatnonzero(blocking & ~rules.fixed), np.flatnonzero(blocking & rules.fixed)
    keepouts = rules.keepouts.reshape(-1, 4).astype(np.float64)
    x, y = placed.x.copy(), placed.y.copy()
    order = hard[np.argsort(-(wide * high)[hard], kind="stable")]
    lost = _settle(order, walls, x, y, wide, high, rules.halo, rules.box, keepouts, design.tolerance)
    if lost >= 0:
        order = hard[np.lexsort((-wide[hard], -high[hard]))]
        x[hard], y[hard] = rules.box[hard, 0], rules.box[hard, 1]
        lost = _settle(order, walls, x, y, wide, high, rules.halo, rules.box, keepouts, design.tolerance)
    if lost >= 0:
        raise KerfError(
            f"{design.name}: no room for macro {design.cell_names[lost]} beside the others; "
            "enlarge the canvas or its region, or reduce halos"
        )
    return Placement(x, y, placed.orient)


def _everywhere(design: Design, placement: Placement, rules: Rules, seed: int) -> Placement:
    """Cells without a place go near the middle of their box, scattered; orientations that the rules forbid are replaced."""
    rng = np.random.default_rng(seed)
    box = rules.box
    lost = ~(np.isfinite(placement.x) & np.isfinite(placement.y)) & ~rules.fixed
    middle = [(box[:, k] + box[:, k + 2]) / 2 for k in (0, 1)]
    spread = [0.2 * (box[:, k + 2] - box[:, k]) * rng.standard_normal(design.cells) for k in (0, 1)]
    x = np.where(lost, middle[0] + spread[0], placement.x)
    y = np.where(lost, middle[1] + spread[1], placement.y)
    cells = np.arange(design.cells)
    allowed = rules.orients[cells, placement.orient] | rules.fixed
    turn = np.where(allowed, placement.orient, rules.orients.argmax(axis=1))
    return Placement(x, y, turn)


def _check_fit(design: Design, rules: Rules, wide: Floats, high: Floats) -> None:
    box, slack = rules.box, design.tolerance
    tight = (wide > box[:, 2] - box[:, 0] + slack) | (high > box[:, 3] - box[:, 1] + slack)
    tight &= ~rules.fixed
    if tight.any():
        cell = int(np.flatnonzero(tight)[0])
        raise KerfError(
            f"{design.name}: {design.cell_names[cell]} is {wide[cell]:g} x {high[cell]:g} and the room it may use "
            f"{box[cell, 2] - box[cell, 0]:g} x {box[cell, 3] - box[cell, 1]:g}; enlarge the canvas or its region"
        )


def _inside(placement: Placement, rules: Rules, wide: Floats, high: Floats) -> Placement:
    box = rules.box
    x = np.minimum(np.maximum(placement.x, box[:, 0] + wide / 2), box[:, 2] - wide / 2)
    y = np.minimum(np.maximum(placement.y, box[:, 1] + high / 2), box[:, 3] - high / 2)
    return Placement(
        np.where(rules.fixed, placement.x, x), np.where(rules.fixed, placement.y, y), placement.orient
    )


def _off_keepouts(design: Design, placed: Placement, rules: Rules, wide: Floats, high: Floats) -> Placement:
    """Soft macros leave keepouts, each for the nearest place; they may share it."""
    if not len(rules.keepouts):
        return placed
    none = np.empty(0, np.int64)
    for cell in np.flatnonzero((design.kind == Kind.SOFT) & ~rules.fixed):
        alone = np.array([cell])
        lost = _settle(
            alone,
            none,
            placed.x,
            placed.y,
            wide,
            high,
            rules.halo,
            rules.box,
            rules.keepouts.reshape(-1, 4),
            0.0,
        )
        if lost >= 0:
            raise KerfError(
                f"{design.name}: keep-outs leave no room for {design.cell_names[cell]} in its box"
            )
    return placed


@njit(cache=True)
def _settle(
    order: Ints,
    walls: Ints,
    x: Floats,
    y: Floats,
    wide: Floats,
    high: Floats,
    halo: Floats,
    box: Floats,
    keepouts: Floats,
    clear: float,
) -> int:
    """Move each cell in turn to the nearest place free of those before it. The first that finds none, or -1."""
    most = len(order) + len(walls) + len(keepouts)
    rects, halos = np.empty((most, 4)), np.zeros(most)
    count = 0
    for cell in walls:
        rects[count] = (
            x[cell] - wide[cell] / 2,
            y[cell] - high[cell] / 2,
            x[cell] + wide[cell] / 2,
            y[cell] + high[cell] / 2,
        )
        halos[count] = halo[cell]
        count += 1
    for k in range(len(keepouts)):
        rects[count] = keepouts[k]
        halos[count] = -1.0
        count += 1
    blocked = np.empty((most, 4))
    for cell in order:
        w, h = wide[cell] / 2, high[cell] / 2
        for k in range(count):
            gap = (max(halos[k], halo[cell]) if halos[k] >= 0 else 0.0) + clear * 1.001
            blocked[k, 0], blocked[k, 2] = rects[k, 0] - w - gap, rects[k, 2] + w + gap
            blocked[k, 1], blocked[k, 3] = rects[k, 1] - h - gap, rects[k, 3] + h + gap
        room = (box[cell, 0] + w, box[cell, 1] + h, box[cell, 2] - w, box[cell, 3] - h)
        found, at_x, at_y = _nearest(blocked[:count], x[cell], y[cell], room)
        if not found:
            return int(cell)
        x[cell], y[cell] = at_x, at_y
        rects[count] = at_x - w, at_y - h, at_x + w, at_y + h
        halos[count] = halo[cell]
        count += 1
    return -1


@njit(cache=True)
def _nearest(
    blocked: Floats, x: float, y: float, room: tuple[float, float, float, float]
) -> tuple[bool, float, float]:
    """The free point of the room nearest to (x, y), outside the inside of each blocked rectangle. Such a point lies at y itself or on a
    horizontal side of a rectangle or the room; on each of these lines the blocked intervals are merged."""
    best, best_x, best_y = np.inf, x, y
    order = np.argsort(blocked[:, 0])
    for k in range(-3, 2 * len(blocked)):
        if k < 0:
            line = (y, room[1], room[3])[k + 3]
        else:
            line = blocked[k // 2, 1 + 2 * (k % 2)]
        line = min(max(line, room[1]), room[3]) if k < 0 else line
        if line < room[1] or line > room[3] or abs(line - y) >= best:
            continue
        far, at = _nearest_on(blocked, order, line, x, room[0], room[2])
        distance = far + abs(line - y)
        if distance < best:
            best, best_x, best_y = distance, at, line
    return best < np.inf, best_x, best_y


@njit(cache=True)
def _nearest_on(
    blocked: Floats, order: Ints, line: float, x: float, low: float, high: float
) -> tuple[float, float]:
    """Of the free stretches of a horizontal line, the point nearest to x and its distance; infinity where there is none."""
    best, at, free = np.inf, x, low
    for i in range(len(order) + 1):
        end = high
        if i < len(order):
            k = order[i]
            if not blocked[k, 1] < line < blocked[k, 3]:
                continue
            end = min(blocked[k, 0], high)
        if end >= free:
            near = min(max(x, free), end)
            if abs(near - x) < best:
                best, at = abs(near - x), near
        if i < len(order):
            free = max(free, blocked[order[i], 2])
    return best, at
