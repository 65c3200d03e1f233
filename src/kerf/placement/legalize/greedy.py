"""Macros one by one, each at the nearest free place: the start where constraint graphs do not fit."""

from __future__ import annotations

import numpy as np
from numba import njit

from kerf.placement.legalize.graph import Axis, after_obstacle, before_obstacle, step_between


@njit(cache=True)
def place_one_by_one(
    ax: Axis, ay: Axis, order: np.ndarray, want_x: np.ndarray, want_y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(m,) edges each, in this order, as near as may be to these wishes in the sum of |dx| and |dy|; NaN from the first that has no place.

    The best place has its wished x or touches something left or right: those x are tried by distance, each with the nearest free y."""
    m = len(order)
    x, y = np.full(m, np.nan), np.full(m, np.nan)
    for p in range(m):
        i = order[p]
        tried = _candidates(ax, order[:p], x, i, want_x[i])
        best = np.inf
        for at in tried[np.argsort(np.abs(tried - want_x[i]))]:
            away = abs(at - want_x[i])
            if away >= best:
                break
            level = _nearest_free(ax, ay, order[:p], x, y, i, at, want_y[i])
            if away + abs(level - want_y[i]) < best:
                best, x[i], y[i] = away + abs(level - want_y[i]), at, level
        if np.isinf(best):
            break
    return x, y


@njit(cache=True)
def _candidates(a: Axis, placed: np.ndarray, x: np.ndarray, i: int, want: float) -> np.ndarray:
    """Edges of i worth trying, inside its bounds: the wish, and against either side of everything there."""
    tried = np.empty(3 + 2 * len(placed) + 2 * len(a.near))
    tried[0], tried[1], tried[2] = min(max(want, a.low[i]), a.high[i]), a.low[i], a.high[i]
    if a.pitch > 0:
        tried[0] = a.origin + np.round((tried[0] - a.origin) / a.pitch) * a.pitch
    n = 3
    for j in placed:
        tried[n], tried[n + 1] = x[j] + step_between(a, j, i), x[j] - step_between(a, i, j)
        n += 2
    for k in range(len(a.near)):
        tried[n], tried[n + 1] = after_obstacle(a, i, k), before_obstacle(a, i, k)
        n += 2
    return tried[(tried >= a.low[i]) & (tried <= a.high[i])]


@njit(cache=True)
def _nearest_free(
    ax: Axis, ay: Axis, placed: np.ndarray, x: np.ndarray, y: np.ndarray, i: int, at: float, want: float
) -> float:
    """The free y nearest to the wish for macro i with its left edge there; infinite where there is none."""
    blocked = np.empty((len(placed) + len(ax.near), 2))
    n = 0
    for j in placed:
        if x[j] < at:
            apart = at - x[j] >= step_between(ax, j, i) - 1e-9
        else:
            apart = x[j] - at >= step_between(ax, i, j) - 1e-9
        if not apart:
            blocked[n, 0], blocked[n, 1] = y[j] - step_between(ay, i, j), y[j] + step_between(ay, j, i)
            n += 1
    for k in range(len(ax.near)):
        if before_obstacle(ax, i, k) < at - 1e-9 and at + 1e-9 < after_obstacle(ax, i, k):
            blocked[n, 0], blocked[n, 1] = before_obstacle(ay, i, k), after_obstacle(ay, i, k)
            n += 1
    return _nearest_outside(blocked[:n], ay, i, want)


@njit(cache=True)
def _nearest_outside(blocked: np.ndarray, a: Axis, i: int, want: float) -> float:
    """Of the places low .. high outside all open intervals `blocked`, the one nearest to the wish."""
    start = min(max(want, a.low[i]), a.high[i])
    if a.pitch > 0:
        start = a.origin + np.round((start - a.origin) / a.pitch) * a.pitch
    if a.low[i] > a.high[i] + 1e-9:
        return np.inf
    by_low = np.argsort(blocked[:, 0])
    up = start
    for b in by_low:
        if blocked[b, 0] < up - 1e-9 and up + 1e-9 < blocked[b, 1]:
            up = blocked[b, 1]
    by_high = np.argsort(-blocked[:, 1])
    down = start
    for b in by_high:
        if blocked[b, 1] > down + 1e-9 and down - 1e-9 > blocked[b, 0]:
            down = blocked[b, 0]
    best = np.inf
    if up <= a.high[i] + 1e-9:
        best = up
    if down >= a.low[i] - 1e-9 and abs(down - want) < abs(best - want):
        best = down
    return best
