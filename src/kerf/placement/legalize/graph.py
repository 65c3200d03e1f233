"""Constraint graphs: which of two macros is left of, or below, which; and whether the chip is wide and high enough for it.

Each pair of macros is kept apart in one direction, in the order of their wishes, so that neither graph has a cycle. The direction is
the one in which the wishes violate it least. Longest paths from either side of the chip give each macro's earliest and latest place; where
they cross, a pair on the critical path is turned to the other direction (the constraint graphs of floorplanning: Liao and Wong, DAC 1983;
repair as in Adya, Markov and Villarrubia, ICCAD 2003, "On whitespace and stability in mixed-size placement").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kerf.placement.legalize.blocks import Blocks

LEFT, BELOW, RIGHT, ABOVE = 1, 2, 3, 4
"""What the first of a pair is to the second. Of two macros it is always LEFT or BELOW, in one order or the other."""


class Axis(NamedTuple):
    """One direction of `Blocks`: (m,) wish, size, low, high; halo; (K,) near, far edges of obstacles and their halo; heeds: (m, K);
    origin, pitch."""

    wish: np.ndarray
    size: np.ndarray
    low: np.ndarray
    high: np.ndarray
    halo: np.ndarray
    near: np.ndarray
    far: np.ndarray
    obstacle_halo: np.ndarray
    heeds: np.ndarray
    origin: float
    pitch: float


def axes(b: Blocks) -> tuple[Axis, Axis]:
    o, oh, g = b.obstacle, b.obstacle_halo, b.grid
    x = Axis(b.x, b.w, b.low_x, b.high_x, b.halo, o[:, 0].copy(), o[:, 2].copy(), oh, b.heeds, g[0], g[1])
    y = Axis(b.y, b.h, b.low_y, b.high_y, b.halo, o[:, 1].copy(), o[:, 3].copy(), oh, b.heeds, g[2], g[3])
    return x, y


@njit(cache=True)
def step_between(a: Axis, i: int, j: int) -> float:
    """How far the edge of j must stand beyond that of i, i being first."""
    step = a.size[i] + max(a.halo[i], a.halo[j])
    return step if a.pitch == 0 else np.ceil(step / a.pitch - 1e-6) * a.pitch


@njit(cache=True)
def after_obstacle(a: Axis, i: int, k: int) -> float:
    """The first edge of i beyond obstacle k; anywhere where k is none to i."""
    if not a.heeds[i, k]:
        return -np.inf
    at = a.far[k] + (max(a.halo[i], a.obstacle_halo[k]) if a.obstacle_halo[k] >= 0 else 0.0)
    return at if a.pitch == 0 else a.origin + np.ceil((at - a.origin) / a.pitch - 1e-6) * a.pitch


@njit(cache=True)
def before_obstacle(a: Axis, i: int, k: int) -> float:
    """The last edge of i before obstacle k; anywhere where k is none to i."""
    if not a.heeds[i, k]:
        return np.inf
    at = a.near[k] - a.size[i] - (max(a.halo[i], a.obstacle_halo[k]) if a.obstacle_halo[k] >= 0 else 0.0)
    return at if a.pitch == 0 else a.origin + np.floor((at - a.origin) / a.pitch + 1e-6) * a.pitch


class Relations(NamedTuple):
    """pair: (m, m) int8, at [i, j] LEFT or BELOW if i is so to j, else 0. obstacle: (m, K) int8, what macro i is to obstacle k."""

    pair: np.ndarray
    obstacle: np.ndarray


@njit(cache=True)
def relate(ax: Axis, ay: Axis, at_x: np.ndarray, at_y: np.ndarray) -> Relations:
    """The least violated relation of each pair at these places, which break ties of order by number."""
    m, obstacles = len(at_x), len(ax.near)
    pair, other = np.zeros((m, m), np.int8), np.zeros((m, obstacles), np.int8)
    for i in range(m):
        for j in range(i + 1, m):
            a, b = _ordered(ax, at_x, i, j)
            c, d = _ordered(ay, at_y, i, j)
            short_x = at_x[a] + step_between(ax, a, b) - at_x[b]
            short_y = at_y[c] + step_between(ay, c, d) - at_y[d]
            if short_x <= short_y:
                pair[a, b] = LEFT
            else:
                pair[c, d] = BELOW
        for k in range(obstacles):
            other[i, k] = _side(ax, ay, at_x, at_y, i, k)
    return Relations(pair, other)


@njit(cache=True)
def relate_as_placed(ax: Axis, ay: Axis, at_x: np.ndarray, at_y: np.ndarray) -> Relations:
    """Relations that hold at these legal places; where two do, the one that the wishes violate less."""
    m, obstacles = len(at_x), len(ax.near)
    pair, other = np.zeros((m, m), np.int8), np.zeros((m, obstacles), np.int8)
    for i in range(m):
        for j in range(i + 1, m):
            a, b = _ordered(ax, at_x, i, j)
            c, d = _ordered(ay, at_y, i, j)
            step_x, step_y = step_between(ax, a, b), step_between(ay, c, d)
            short_x, short_y = ax.wish[a] + step_x - ax.wish[b], ay.wish[c] + step_y - ay.wish[d]
            over_x, over_y = at_x[a] + step_x - at_x[b], at_y[c] + step_y - at_y[d]
            if over_y > HOLDS or (over_x <= HOLDS and short_x <= short_y):
                pair[a, b] = LEFT
            else:
                pair[c, d] = BELOW
        for k in range(obstacles):
            other[i, k] = _side_as_placed(ax, ay, at_x[i], at_y[i], i, k)
    return Relations(pair, other)


HOLDS = 1e-7
"""By which a relation may be violated and still hold: rounding."""


@njit(cache=True)
def _side_as_placed(ax: Axis, ay: Axis, at_x: float, at_y: float, i: int, k: int) -> int:
    """The side of an obstacle on which the macro stands; of two, the one that its wish violates less."""
    best, side = np.inf, LEFT
    for code in (LEFT, BELOW, RIGHT, ABOVE):
        a, at = (ax, at_x) if code % 2 == 1 else (ay, at_y)
        bound = before_obstacle(a, i, k) if code <= BELOW else after_obstacle(a, i, k)
        over = at - bound if code <= BELOW else bound - at
        short = a.wish[i] - bound if code <= BELOW else bound - a.wish[i]
        if over > HOLDS:
            short += 1e12 + 1e6 * over
        if short < best:
            best, side = short, code
    return side


@njit(cache=True)
def _ordered(a: Axis, at: np.ndarray, i: int, j: int) -> tuple[int, int]:
    """By centre, then by number."""
    ci, cj = at[i] + a.size[i] / 2, at[j] + a.size[j] / 2
    return (i, j) if ci < cj or (ci == cj and i < j) else (j, i)


@njit(cache=True)
def _side(ax: Axis, ay: Axis, at_x: np.ndarray, at_y: np.ndarray, i: int, k: int) -> int:
    """The least violated side of an obstacle, among those within the macro's bounds where there is one."""
    best, side = np.inf, LEFT
    for code in (LEFT, BELOW, RIGHT, ABOVE):
        a, at = (ax, at_x[i]) if code % 2 == 1 else (ay, at_y[i])
        bound = before_obstacle(a, i, k) if code <= BELOW else after_obstacle(a, i, k)
        short = at - bound if code <= BELOW else bound - at
        outside = bound < a.low[i] if code <= BELOW else bound > a.high[i]
        short += 1e12 if outside else 0.0
        if short < best:
            best, side = short, code
    return side


@njit(cache=True)
def order_of(a: Axis, at: np.ndarray) -> np.ndarray:
    """Every edge of `relate` at these places goes forward in this order."""
    return np.argsort(at + a.size / 2, kind="mergesort")


@njit(cache=True)
def exact(a: Axis, r: Relations, code: int, at: np.ndarray) -> np.ndarray:
    """Places that satisfy the relations to the last digit, from places that do so but for rounding."""
    order = order_of(a, at)
    span, x = paths(a, r, code, order), at.copy()
    for p in range(len(order)):
        j = order[p]
        x[j] = min(max(x[j], span.early[j]), span.late[j])
        for q in range(p):
            i = order[q]
            if r.pair[i, j] == code:
                x[j] = max(x[j], x[i] + step_between(a, i, j))
    return x


@njit(cache=True)
def bounds(a: Axis, r: Relations, code: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(m,) each: lowest and highest place of each macro as far as box and obstacles say, and the obstacle that says so, or -1."""
    low, high = a.low.copy(), a.high.copy()
    by_low, by_high = np.full(len(low), -1, np.int64), np.full(len(low), -1, np.int64)
    for i in range(len(low)):
        for k in range(len(a.near)):
            if r.obstacle[i, k] == code and before_obstacle(a, i, k) < high[i]:
                high[i], by_high[i] = before_obstacle(a, i, k), k
            elif r.obstacle[i, k] == code + 2 and after_obstacle(a, i, k) > low[i]:
                low[i], by_low[i] = after_obstacle(a, i, k), k
    return low, high, by_low, by_high


class Paths(NamedTuple):
    """(m,) each: earliest and latest place of each macro; the macro that pushes it there, or -2 - k for an obstacle, or -1."""

    early: np.ndarray
    late: np.ndarray
    behind: np.ndarray
    ahead: np.ndarray


@njit(cache=True)
def paths(a: Axis, r: Relations, code: int, order: np.ndarray) -> Paths:
    """Longest paths from both ends."""
    early, late, by_low, by_high = bounds(a, r, code)
    behind = np.where(by_low >= 0, -2 - by_low, -1)
    ahead = np.where(by_high >= 0, -2 - by_high, -1)
    m = len(order)
    for p in range(m):
        i = order[p]
        for q in range(p + 1, m):
            j = order[q]
            if r.pair[i, j] == code:
                at = early[i] + step_between(a, i, j)
                if at > early[j]:
                    early[j], behind[j] = at, i
    for p in range(m - 1, -1, -1):
        j = order[p]
        for q in range(p):
            i = order[q]
            if r.pair[i, j] == code:
                at = late[j] - step_between(a, i, j)
                if at < late[i]:
                    late[i], ahead[i] = at, j
    return Paths(early, late, behind, ahead)


@njit(cache=True)
def repair(ax: Axis, ay: Axis, at_x: np.ndarray, at_y: np.ndarray, r: Relations, turns: int) -> bool:
    """Turn pairs on critical paths until both graphs fit, at most `turns` of them; says whether they fit."""
    order_x, order_y = order_of(ax, at_x), order_of(ay, at_y)
    tired_pair = np.zeros(r.pair.shape, np.int8)
    tired_obstacle = np.zeros(r.obstacle.shape, np.int8)
    for _ in range(turns):
        px, py = paths(ax, r, LEFT, order_x), paths(ay, r, BELOW, order_y)
        over_x, over_y = px.early - px.late, py.early - py.late
        if max(over_x.max(), over_y.max()) <= 1e-9:
            return True
        if over_x.max() > over_y.max():
            turned = _turn(ax, ay, at_y, r, LEFT, px, py, over_x.argmax(), tired_pair, tired_obstacle)
        else:
            turned = _turn(ay, ax, at_x, r, BELOW, py, px, over_y.argmax(), tired_pair, tired_obstacle)
        if not turned:
            return False
    return False


@njit(cache=True)
def _turn(
    a: Axis,
    other: Axis,
    at: np.ndarray,
    r: Relations,
    code: int,
    here: Paths,
    there: Paths,
    worst: int,
    tired_pair: np.ndarray,
    tired_obstacle: np.ndarray,
) -> bool:
    """Of the pairs on the critical path through `worst`, turn the one that hurts the other direction least."""
    best, first, second, side = np.inf, -1, -1, 0
    i = worst
    while i >= 0:
        j = here.behind[i]
        if j >= 0 and tired_pair[j, i] < 2:
            cost, u, v = _price(other, at, there, j, i)
            if cost < best:
                best, first, second, side = cost, u, v, 0
        if j <= -2 and tired_obstacle[i, -2 - j] < 4:
            cost, way = _price_obstacle(other, at, there, i, -2 - j, code)
            if cost < best:
                best, first, second, side = cost, i, -2 - j, way
        i = j
    i = worst
    while i >= 0:
        j = here.ahead[i]
        if j >= 0 and tired_pair[i, j] < 2:
            cost, u, v = _price(other, at, there, i, j)
            if cost < best:
                best, first, second, side = cost, u, v, 0
        if j <= -2 and tired_obstacle[i, -2 - j] < 4:
            cost, way = _price_obstacle(other, at, there, i, -2 - j, code)
            if cost < best:
                best, first, second, side = cost, i, -2 - j, way
        i = j
    if first < 0:
        return False
    if side:
        tired_obstacle[first, second] += 1
        r.obstacle[first, second] = side
    else:
        tired_pair[first, second] += 1
        tired_pair[second, first] += 1
        r.pair[first, second], r.pair[second, first] = 3 - code, 0
    return True


OVERFULL = 100.0
"""A unit by which the other direction would no longer fit, in units of violated wishes."""


@njit(cache=True)
def _price(a: Axis, at: np.ndarray, there: Paths, i: int, j: int) -> tuple[float, int, int]:
    """What it costs to order i and j along axis `a`, and their order."""
    u, v = _ordered(a, at, i, j)
    step = step_between(a, u, v)
    over = there.early[u] + step - there.late[v]
    return max(at[u] + step - at[v], 0.0) + OVERFULL * max(over, 0.0), u, v


@njit(cache=True)
def _price_obstacle(a: Axis, at: np.ndarray, there: Paths, i: int, k: int, code: int) -> tuple[float, int]:
    """The same for an obstacle, before or after it."""
    low, high = before_obstacle(a, i, k), after_obstacle(a, i, k)
    before = max(at[i] - low, 0.0) + OVERFULL * max(there.early[i] - low, 0.0)
    after = max(high - at[i], 0.0) + OVERFULL * max(high - there.late[i], 0.0)
    return (before, 3 - code) if before <= after else (after, 5 - code)
