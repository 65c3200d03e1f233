"""Maps over the die: how full, how wired and how pinned each bin is. (rows, columns) arrays, bottom row first.

RUDY is Spindler and Johannes' estimate (DATE 2007): each net's half-perimeter spread evenly over the box around its pins.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kerf.placement.design import Design, Floats, Kind, Placement
from kerf.placement.hpwl import net_boxes
from kerf.placement.slots import slot

BINS = 128
FULLEST = (0.005, 0.01, 0.02, 0.05)


def bins(design: Design) -> tuple[int, int]:
    """(columns, rows): the design's grid where it has one, else square bins, BINS along the longer side."""
    if design.grid is not None:
        return design.grid.columns, design.grid.rows
    left, bottom, right, top = design.die
    side = max(right - left, top - bottom) / BINS
    return max(round((right - left) / side), 1), max(round((top - bottom) / side), 1)


def density(design: Design, placement: Placement, columns: int, rows: int) -> Floats:
    """The area of cells and macros in each bin over the bin's area; cells without a place count nowhere."""
    left, bottom, right, top = design.boxes(placement)
    solid = np.flatnonzero((design.kind != Kind.PORT) & np.isfinite(placement.x) & np.isfinite(placement.y))
    boxes = np.stack([left, bottom, right, top], axis=1)[solid]
    area = (design.width * design.height)[solid]
    return _spread(boxes, area, design.die, columns, rows)


def rudy(design: Design, placement: Placement, columns: int, rows: int) -> Floats:
    """Estimated wire in each bin over the bin's area: length per area. A box thinner than a bin is widened to one."""
    left, bottom, right, top = net_boxes(design, placement)
    length = design.net_weight * ((right - left) + (top - bottom))
    counted = np.flatnonzero(np.isfinite(length) & (length > 0))
    wide, high = _bin(design, columns, rows)
    across, up = np.maximum(wide - (right - left), 0) / 2, np.maximum(high - (top - bottom), 0) / 2
    boxes = np.stack([left - across, bottom - up, right + across, top + up], axis=1)[counted]
    return _spread(boxes, length[counted], design.die, columns, rows)


def congestion(design: Design, placement: Placement) -> float:
    """Mean RUDY of the fullest 0.5, 1, 2 and 5 % of bins, averaged: the measure of the DAC 2012 routability contest (Viswanathan et al.),
    which takes a router's load instead. Length per area; NaN where no net has a length."""
    loads = np.sort(rudy(design, placement, *bins(design)), axis=None)[::-1]
    return float(np.mean([loads[: max(round(share * len(loads)), 1)].mean() for share in FULLEST]))


def pins(design: Design, placement: Placement, columns: int, rows: int) -> Floats:
    """Pins in each bin over the bin's area; those outside the die count nowhere."""
    x, y = design.pin_positions(placement)
    left, bottom, right, top = design.die
    found = np.isfinite(x) & np.isfinite(y)
    span = [[bottom, top], [left, right]]
    counts, _, _ = np.histogram2d(y[found], x[found], bins=(rows, columns), range=span)
    wide, high = _bin(design, columns, rows)
    return counts / (wide * high)


def _bin(design: Design, columns: int, rows: int) -> tuple[float, float]:
    left, bottom, right, top = design.die
    return (right - left) / columns, (top - bottom) / rows


@njit(cache=True)
def _spread(
    boxes: np.ndarray, amount: np.ndarray, die: tuple[float, float, float, float], columns: int, rows: int
) -> np.ndarray:
    """Each amount evenly over its box, per area of a bin; what lies outside the die is dropped."""
    wide, high = (die[2] - die[0]) / columns, (die[3] - die[1]) / rows
    found = np.zeros((rows, columns))
    for i in range(len(boxes)):
        left, bottom = (boxes[i, 0] - die[0]) / wide, (boxes[i, 1] - die[1]) / high
        right, top = (boxes[i, 2] - die[0]) / wide, (boxes[i, 3] - die[1]) / high
        bins = (right - left) * (top - bottom)
        if bins <= 0:
            continue
        each = amount[i] / (wide * high) / bins
        for row in range(slot(bottom, rows), slot(top, rows) + 1):
            dy = min(top, row + 1.0) - max(bottom, float(row))
            for column in range(slot(left, columns), slot(right, columns) + 1):
                dx = min(right, column + 1.0) - max(left, float(column))
                if dx > 0 and dy > 0:
                    found[row, column] += each * dx * dy
    return found
