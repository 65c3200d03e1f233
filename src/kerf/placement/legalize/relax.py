"""Macros pushed off each other, a little at a time, until hardly any overlap: the places from which relations are then read.

Relations read from overlapping wishes make chains across the chip that are too long, though each overlap is small; mending those moves
macros far. Here every overlapping pair moves apart in the direction in which it overlaps less, the smaller one more, sweep after sweep, and a
macro whose push is hindered passes it on (position-based dynamics: Müller, Heidelberger, Hennix and Ratcliff, 2007, with boxes for bodies).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from kerf.placement.legalize.graph import Axis, after_obstacle, before_obstacle, step_between

PULL = 0.02
"""Share of the way back to its wish that a macro goes in a sweep; it fades."""


@njit(cache=True)
def pushed_apart(ax: Axis, ay: Axis, sweeps: int) -> tuple[np.ndarray, np.ndarray]:
    """(m,) left and bottom edges, near the wishes, inside the bounds, with little overlap left or none."""
    x, y = _inside(ax, ax.wish.copy()), _inside(ay, ay.wish.copy())
    mass = ax.size * ay.size
    reach_x, reach_y = _reach(ax), _reach(ay)
    for sweep in range(sweeps):
        pull = PULL * (1.0 - sweep / (0.7 * sweeps))
        if pull > 0:
            x += pull * (ax.wish - x)
            y += pull * (ay.wish - y)
        worst = 0.0
        for i in range(len(x)):
            for k in range(len(ax.near)):
                worst = max(worst, _off_obstacle(ax, ay, x, y, i, k))
        for i, j in _close(x, y, reach_x, reach_y):
            worst = max(worst, _off_each_other(ax, ay, x, y, mass, i, j))
        _inside(ax, x)
        _inside(ay, y)
        if worst <= 1e-9 and pull <= 0:
            break
    return x, y


@njit(cache=True)
def _reach(a: Axis) -> np.ndarray:
    """(m,) from each left or bottom edge, how far another may begin and still be too near."""
    return a.size + a.halo.max() + 2 * a.pitch


@njit(cache=True)
def _close(x: np.ndarray, y: np.ndarray, reach_x: np.ndarray, reach_y: np.ndarray) -> np.ndarray:
    """(K, 2) pairs that may be too near each other, from left to right. Plain arrays: a tuple of them costs more than the test itself."""
    order, found, n = np.argsort(x), np.empty((8 * len(x), 2), np.int64), 0
    for p in range(len(x)):
        i = order[p]
        for q in range(p + 1, len(x)):
            j = order[q]
            if x[j] >= x[i] + reach_x[i]:
                break
            if y[j] < y[i] + reach_y[i] and y[i] < y[j] + reach_y[j]:
                if n == len(found):
                    found = np.concatenate((found, np.empty_like(found)))
                found[n, 0], found[n, 1] = i, j
                n += 1
    return found[:n]


@njit(cache=True)
def _inside(a: Axis, at: np.ndarray) -> np.ndarray:
    for i in range(len(at)):
        at[i] = min(max(at[i], a.low[i]), a.high[i])
    return at


@njit(cache=True)
def _off_each_other(
    ax: Axis, ay: Axis, x: np.ndarray, y: np.ndarray, mass: np.ndarray, i: int, j: int
) -> float:
    """By how much the pair overlapped."""
    right = x[i] + ax.size[i] / 2 <= x[j] + ax.size[j] / 2
    over_x = x[i] + step_between(ax, i, j) - x[j] if right else x[j] + step_between(ax, j, i) - x[i]
    if over_x <= 0:
        return 0.0
    above = y[i] + ay.size[i] / 2 <= y[j] + ay.size[j] / 2
    over_y = y[i] + step_between(ay, i, j) - y[j] if above else y[j] + step_between(ay, j, i) - y[i]
    if over_y <= 0:
        return 0.0
    share = mass[j] / max(mass[i] + mass[j], 1e-30)
    if over_x <= over_y:
        _push(ax, x, i, j, over_x if right else -over_x, share)
        return over_x
    _push(ay, y, i, j, over_y if above else -over_y, share)
    return over_y


@njit(cache=True)
def _push(a: Axis, at: np.ndarray, i: int, j: int, over: float, share: float) -> None:
    """Move i back by its share and j on by the rest; what the bounds keep one from is the other's."""
    back = min(max(at[i] - over * share, a.low[i]), a.high[i])
    on = min(max(at[j] + over - (at[i] - back), a.low[j]), a.high[j])
    at[i] = min(max(at[i] - over + (on - at[j]), a.low[i]), a.high[i])
    at[j] = on


@njit(cache=True)
def _off_obstacle(ax: Axis, ay: Axis, x: np.ndarray, y: np.ndarray, i: int, k: int) -> float:
    """By the shortest way that ends inside the bounds."""
    left, right = before_obstacle(ax, i, k), after_obstacle(ax, i, k)
    low, high = before_obstacle(ay, i, k), after_obstacle(ay, i, k)
    if x[i] <= left or x[i] >= right or y[i] <= low or y[i] >= high:
        return 0.0
    ways = np.array(
        [
            x[i] - left if left >= ax.low[i] else np.inf,
            right - x[i] if right <= ax.high[i] else np.inf,
            y[i] - low if low >= ay.low[i] else np.inf,
            high - y[i] if high <= ay.high[i] else np.inf,
        ]
    )
    way = ways.argmin()
    if way < 2:
        x[i] = left if way == 0 else right
    else:
        y[i] = low if way == 2 else high
    return float(ways[way]) if np.isfinite(ways[way]) else 0.0
