"""Cells higher than a row: each at the nearest place that is free in all its rows, before the others."""

from __future__ import annotations

import numpy as np
from numba import njit

from kerf.placement.legalize.sites import ALMOST, Sites


@njit(cache=True)
def nearest_place(
    s: Sites, box: np.ndarray, want_x: float, want_y: float, width: float, height: float, upright: bool
) -> tuple[float, float, int]:
    """Left and bottom edge nearest to the wish in |dx| + |dy|, and the lowest row; row -1 where there is none.

    box: what to stay in. upright: only rows that are not upside down, as a cell of an even number of rows needs for its rails."""
    best, at, found = np.inf, want_x, -1
    order = np.argsort(np.abs(s.y - want_y), kind="mergesort")
    for row in order:
        away = abs(s.y[row] - want_y)
        if away >= best:
            break
        slack = ALMOST * s.height[row]
        inside = s.y[row] >= box[1] - slack and s.y[row] + height <= box[3] + slack
        if not inside or (upright and s.flipped[row]):
            continue
        for step in (1, -1):
            x = _free_along(s, row, box, want_x, width, height, step)
            if away + abs(x - want_x) < best:
                best, at, found = away + abs(x - want_x), x, row
    return at, (s.y[found] if found >= 0 else want_y), found


@njit(cache=True)
def _free_along(
    s: Sites, row: int, box: np.ndarray, want: float, width: float, height: float, step: int
) -> float:
    """The first free left edge on the row's sites from the wish on, to the right (step 1) or the left (-1); infinite where there is none."""
    pitch, origin = s.pitch[row], s.x[row]
    low = np.ceil((box[0] - origin) / pitch - ALMOST)
    high = np.floor((box[2] - width - origin) / pitch + ALMOST)
    k = min(max(np.round((want - origin) / pitch), low), high)
    while low <= k <= high:
        jump = _blocked_until(s, row, origin + k * pitch, width, height, step)
        if not np.isfinite(jump):
            return np.inf
        if jump == origin + k * pitch:
            return jump
        shift = (jump - origin) / pitch
        k = max(np.ceil(shift - ALMOST), k + 1) if step > 0 else min(np.floor(shift + ALMOST), k - 1)
    return np.inf


@njit(cache=True)
def _blocked_until(s: Sites, row: int, left: float, width: float, height: float, step: int) -> float:
    """`left` itself if all rows are free there up to the height; else the nearest left edge, in the direction, that one of them allows."""
    level = np.searchsorted(s.level_start, row, side="right") - 1
    y, top = s.y[row], s.y[row] + height
    while True:
        tallest, best = 0.0, np.inf
        if level >= len(s.level_y) or abs(s.level_y[level] - y) > ALMOST * s.height[row]:
            return np.inf
        for r in range(s.level_start[level], s.level_start[level + 1]):
            jump = _in_row(s, r, left, width, step)
            if jump == left:
                tallest = s.height[r]
            if abs(jump - left) < abs(best - left):
                best = jump
        if best != left:
            return best
        y += tallest
        if y >= top - ALMOST * s.height[row]:
            return left
        level = np.searchsorted(s.level_y, y - ALMOST * s.height[row])


@njit(cache=True)
def _in_row(s: Sites, row: int, left: float, width: float, step: int) -> float:
    """The nearest left edge in the direction at which one free stretch of the row holds the width."""
    best = np.inf
    node = s.head[row]
    while node >= 0:
        lo, hi = s.x[row] + s.lo[node] * s.pitch[row], s.x[row] + s.hi[node] * s.pitch[row]
        slack = ALMOST * s.pitch[row]
        if hi - lo >= width - slack:
            if lo - slack <= left and left + width <= hi + slack:
                return left
            at = lo if step > 0 else hi - width
            if (at - left) * step > 0 and abs(at - left) < abs(best - left):
                best = at
        node = s.after[node]
    return best
