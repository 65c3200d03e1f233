"""Abacus: standard cells into segments with the least squared displacement (Spindler, Schlichtmann and Johannes, ISPD 2008).

Cells come in order of x and are appended to segments. Cells that touch form a *cluster*, which stands where its cells' squared displacement is
least; a cluster that would overlap the one before joins it. A cell goes to the segment whose cost grows least: here the growth of the whole
cluster's cost, not only the new cell's displacement as in the paper. Segments are tried in order of distance until none can be better.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kerf.placement.legalize.segments import Segments
from kerf.placement.legalize.sites import ALMOST


class Cells(NamedTuple):
    """n cells of one group. x, y: the lower left corner that each would like; width, height, weight; all (n,)."""

    x: np.ndarray
    y: np.ndarray
    width: np.ndarray
    height: np.ndarray
    weight: np.ndarray


class Clusters(NamedTuple):
    """A cluster has the index of its first cell; all (n,). x: its left edge, from that of its segment; width; sums over its cells:
    weight, q of weight times where the cell wants the cluster's edge, s of weight times that squared. before: the cluster to its left."""

    x: np.ndarray
    width: np.ndarray
    weight: np.ndarray
    q: np.ndarray
    s: np.ndarray
    before: np.ndarray


@njit(cache=True)
def whole(width: float, pitch: float) -> int:
    """Sites under a width."""
    return int(np.ceil(width / pitch - ALMOST))


@njit(cache=True)
def assign(segs: Segments, cells: Cells, order: np.ndarray) -> np.ndarray:
    """The segment of each cell, (n,), -1 for those that found no room, taking them in `order`."""
    count = len(cells.x)
    chosen = np.full(count, -1, np.int64)
    last, used = np.full(len(segs.x), -1, np.int64), np.zeros(len(segs.x), np.int64)
    z = np.zeros((5, count))
    clusters = Clusters(z[0], z[1], z[2], z[3], z[4], np.full(count, -1, np.int64))
    for i in order:
        seg = _best(segs, cells, clusters, last, used, i)
        chosen[i] = seg
        if seg >= 0:
            used[seg] += whole(cells.width[i], segs.pitch[seg])
            _append(segs, cells, clusters, last, seg, i)
    return chosen


@njit(cache=True)
def _best(
    segs: Segments, cells: Cells, clusters: Clusters, last: np.ndarray, used: np.ndarray, i: int
) -> int:
    """Levels by growing distance, below and above."""
    best, found = np.inf, -1
    above = np.searchsorted(segs.level_y, cells.y[i])
    below = above - 1
    while below >= 0 or above < len(segs.level_y):
        up = segs.level_y[above] - cells.y[i] if above < len(segs.level_y) else np.inf
        down = cells.y[i] - segs.level_y[below] if below >= 0 else np.inf
        rise = min(up, down) ** 2 * cells.weight[i]
        if rise >= best:
            break
        level = above if up <= down else below
        above, below = above + (up <= down), below - (up > down)
        best, found = _best_on(segs, cells, clusters, last, used, i, level, rise, best, found)
    return found


@njit(cache=True)
def _best_on(
    segs: Segments,
    cells: Cells,
    clusters: Clusters,
    last: np.ndarray,
    used: np.ndarray,
    i: int,
    level: int,
    rise: float,
    best: float,
    found: int,
) -> tuple[float, int]:
    """The segments of one level, outward from the one under the cell."""
    start, end = segs.level_start[level], segs.level_start[level + 1]
    right = start + np.searchsorted(segs.x[start:end], cells.x[i], side="right")
    for step in (-1, 1):
        seg = right - 1 if step < 0 else right
        while start <= seg < end:
            if rise + cells.weight[i] * _beyond(segs, cells, seg, i) ** 2 >= best:
                break
            fits = used[seg] + whole(cells.width[i], segs.pitch[seg]) <= segs.sites[seg]
            if fits and cells.height[i] <= segs.room[seg] * (1 + ALMOST):
                cost = rise + _trial(segs, cells, clusters, last, seg, i)
                if cost < best:
                    best, found = cost, seg
            seg += step
    return best, found


@njit(cache=True)
def _beyond(segs: Segments, cells: Cells, seg: int, i: int) -> float:
    """How far outside the segment the cell's wish lies."""
    right = segs.x[seg] + segs.pitch[seg] * segs.sites[seg]
    return max(segs.x[seg] - cells.x[i], cells.x[i] + cells.width[i] - right, 0.0)


@njit(cache=True)
def _trial(segs: Segments, cells: Cells, clusters: Clusters, last: np.ndarray, seg: int, i: int) -> float:
    """By how much the segment's cost grows if the cell is appended."""
    wish = cells.x[i] - segs.x[seg]
    width = whole(cells.width[i], segs.pitch[seg]) * segs.pitch[seg]
    total = segs.sites[seg] * segs.pitch[seg]
    weight, q, s = cells.weight[i], cells.weight[i] * wish, cells.weight[i] * wish * wish
    x, old, c = min(max(wish, 0.0), total - width), 0.0, last[seg]
    while c >= 0 and clusters.x[c] + clusters.width[c] > x:
        old += _cost(clusters.weight[c], clusters.q[c], clusters.s[c], clusters.x[c])
        weight, q, s, width = _joined(clusters, c, weight, q, s, width)
        x = min(max(q / weight, 0.0), total - width)
        c = clusters.before[c]
    return _cost(weight, q, s, x) - old


@njit(cache=True)
def _cost(weight: float, q: float, s: float, x: float) -> float:
    return (weight * x - 2 * q) * x + s


@njit(cache=True)
def _joined(
    clusters: Clusters, c: int, weight: float, q: float, s: float, width: float
) -> tuple[float, float, float, float]:
    """Sums of cluster `c` followed by one with these sums."""
    shift = clusters.width[c]
    s = clusters.s[c] + s - 2 * shift * q + shift * shift * weight
    return clusters.weight[c] + weight, clusters.q[c] + q - shift * weight, s, shift + width


@njit(cache=True)
def _append(segs: Segments, cells: Cells, clusters: Clusters, last: np.ndarray, seg: int, i: int) -> None:
    wish = cells.x[i] - segs.x[seg]
    width = whole(cells.width[i], segs.pitch[seg]) * segs.pitch[seg]
    total = segs.sites[seg] * segs.pitch[seg]
    weight, q, s = cells.weight[i], cells.weight[i] * wish, cells.weight[i] * wish * wish
    x, c, name = min(max(wish, 0.0), total - width), last[seg], i
    while c >= 0 and clusters.x[c] + clusters.width[c] > x:
        weight, q, s, width = _joined(clusters, c, weight, q, s, width)
        x = min(max(q / weight, 0.0), total - width)
        c, name = clusters.before[c], c
    clusters.x[name], clusters.width[name], clusters.weight[name] = x, width, weight
    clusters.q[name], clusters.s[name], clusters.before[name] = q, s, c
    last[seg] = name


@njit(cache=True)
def settle(segs: Segments, cells: Cells, chosen: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Left edges, (n,), on sites: the cells of each segment in `order`, at their least squared displacement."""
    count = len(cells.x)
    last = np.full(len(segs.x), -1, np.int64)
    z = np.zeros((5, count))
    clusters = Clusters(z[0], z[1], z[2], z[3], z[4], np.full(count, -1, np.int64))
    for i in order:
        if chosen[i] >= 0:
            _append(segs, cells, clusters, last, chosen[i], i)
    return _on_sites(segs, cells, chosen, order, _starts(clusters, last))


@njit(cache=True)
def _starts(clusters: Clusters, last: np.ndarray) -> np.ndarray:
    """Where each cluster stands, (n,), at its first cell; NaN at the others."""
    at = np.full(len(clusters.x), np.nan)
    for c in last:
        while c >= 0:
            at[c] = clusters.x[c]
            c = clusters.before[c]
    return at


@njit(cache=True)
def _on_sites(
    segs: Segments, cells: Cells, chosen: np.ndarray, order: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """Clusters to their nearest sites. The way back undoes what rounding of reals, not of sites, might have pushed over the end."""
    site, left = np.zeros(len(chosen), np.int64), np.full(len(chosen), np.nan)
    free, end = np.zeros(len(segs.x), np.int64), segs.sites.copy()
    for i in order:
        seg = chosen[i]
        if seg >= 0:
            if not np.isnan(starts[i]):
                free[seg] = max(free[seg], int(np.floor(starts[i] / segs.pitch[seg] + 0.5)))
            site[i] = free[seg]
            free[seg] += whole(cells.width[i], segs.pitch[seg])
    for i in order[::-1]:
        seg = chosen[i]
        if seg >= 0:
            site[i] = min(site[i], end[seg] - whole(cells.width[i], segs.pitch[seg]))
            end[seg] = site[i]
            left[i] = segs.x[seg] + site[i] * segs.pitch[seg]
    return left
