"""The best sites for cells in a given order: exact, by clumping.

Along a row, with everything else still, the wirelength of ordered cells is a sum of convex piecewise-linear functions, one per cell: a net is
stretched to the left by its first cell in the row and to the right by its last. Clumping (Kahng, Tucker, Zelikovsky: Optimization of linear
placements for wirelength minimization with free sites, ASP-DAC 1999) places the cells from left to right, each at the best place of its
function, and joins it with its left neighbour while they overlap. Between sites the functions are drawn straight, so that the optimum
over whole sites is found, not a rounded one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerf.placement.detailed.compiled import inner, outer


class Clumps(NamedTuple):
    """Scratch for up to n cells with up to k breakpoints in all. Breakpoints: point, rise (k,) the site and the growth of the slope there.
    Per clump: begin (n + 1,) its first breakpoint, head (n,) its first cell, wide, site (n,), slope (n,) left of all breakpoints.
    merged_* (k,): room for merging. filled (1,): how many clumps there are."""

    point: np.ndarray
    rise: np.ndarray
    begin: np.ndarray
    head: np.ndarray
    wide: np.ndarray
    site: np.ndarray
    slope: np.ndarray
    merged_point: np.ndarray
    merged_rise: np.ndarray
    filled: np.ndarray


@outer
def empty_clumps(cells: int, breakpoints: int) -> Clumps:
    return Clumps(
        np.zeros(breakpoints),
        np.zeros(breakpoints),
        np.zeros(cells + 1, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(cells),
        np.zeros(breakpoints),
        np.zeros(breakpoints),
        np.zeros(1, np.int64),
    )


@inner
def open_clump(s: Clumps, cell: int, wide: int) -> None:
    """Begin a clump of one cell; breakpoints follow by `bend`, then `close_clump`."""
    n = s.filled[0]
    s.head[n], s.wide[n], s.slope[n] = cell, wide, 0.0
    s.begin[n + 1] = s.begin[n]
    s.filled[0] = n + 1


@inner
def bend(s: Clumps, where: float, rise: float) -> None:
    """Raise the slope of the newest clump by `rise` to the right of a place, given in sites; shared between the sites around it."""
    whole = np.floor(where)
    part = where - whole
    if part < 1e-9 or part > 1 - 1e-9:
        _bend_at(s, np.round(where), rise)
    else:
        _bend_at(s, whole, rise * (1 - part))
        _bend_at(s, whole + 1, rise * part)


@inner
def _bend_at(s: Clumps, where: float, rise: float) -> None:
    n = s.filled[0]
    i, first = s.begin[n], s.begin[n - 1]
    while i > first and s.point[i - 1] > where:
        s.point[i], s.rise[i] = s.point[i - 1], s.rise[i - 1]
        i -= 1
    s.point[i], s.rise[i] = where, rise
    s.begin[n] += 1


@inner
def close_clump(s: Clumps, low: int, high: int) -> None:
    """Find the newest clump's place in sites low .. high (not included) and join it with those in its way."""
    _settle(s, low, high)
    while s.filled[0] > 1:
        n = s.filled[0] - 1
        if s.site[n - 1] + s.wide[n - 1] <= s.site[n]:
            return
        _join(s)
        _settle(s, low, high)


@inner
def _settle(s: Clumps, low: int, high: int) -> None:
    n = s.filled[0] - 1
    slope, best = s.slope[n], float(low)
    for i in range(s.begin[n], s.begin[n + 1]):
        if slope >= -1e-9:
            break
        slope += s.rise[i]
        best = s.point[i]
    s.site[n] = np.int64(max(min(best, float(high - s.wide[n])), float(low)))


@inner
def _join(s: Clumps) -> None:
    n = s.filled[0] - 1
    i, middle, j, last = s.begin[n - 1], s.begin[n], s.begin[n], s.begin[n + 1]
    first, shift, k = i, float(s.wide[n - 1]), 0
    while i < middle or j < last:
        if j == last or (i < middle and s.point[i] <= s.point[j] - shift):
            s.merged_point[k], s.merged_rise[k] = s.point[i], s.rise[i]
            i += 1
        else:
            s.merged_point[k], s.merged_rise[k] = s.point[j] - shift, s.rise[j]
            j += 1
        k += 1
    for i in range(k):
        s.point[first + i], s.rise[first + i] = s.merged_point[i], s.merged_rise[i]
    s.slope[n - 1] += s.slope[n]
    s.wide[n - 1] += s.wide[n]
    s.begin[n] = last
    s.filled[0] = n
