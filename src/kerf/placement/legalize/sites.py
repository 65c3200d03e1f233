"""Free sites: what rows still offer once obstacles and placed cells are taken out.

Rows are sorted by y, then x; rows of one y form a *level*. Each row keeps its free stretches, half-open intervals of site numbers, in a linked
list in which a stretch is *carved*: cut, shortened or removed. Where rows of a level overlap, the one that begins last holds: what the
independent check finds under a cell. A row that overlaps rows of another level is left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Ints, Rows

ALMOST = 1e-6
"""Of a site, or of a row's height: less than this is rounding."""


class Sites(NamedTuple):
    """R rows, K >= R nodes of free stretches. x, y, height, pitch: (R,) reals. flipped: (R,) cells stand upside down there.
    level_y: (L,), level_start: (L + 1,) rows of each level. head: (R,) the first node of each row or -1; lo, hi, after: (K,) nodes;
    `used`: (1,) how many nodes are taken."""

    x: np.ndarray
    y: np.ndarray
    height: np.ndarray
    pitch: np.ndarray
    flipped: np.ndarray
    level_y: np.ndarray
    level_start: np.ndarray
    head: np.ndarray
    lo: np.ndarray
    hi: np.ndarray
    after: np.ndarray
    used: np.ndarray


def free_sites(design: Design, obstacles: Floats, later: Floats) -> Sites:
    """All sites of the design's rows (of made-up rows, where it has none) outside `obstacles`, (K, 4) rectangles.
    `later`: (n,) heights of the cells that will be carved."""
    rows, right = _apart(design.rows if len(design.rows) else made_rows(design))
    count = np.floor((right - rows.x) / rows.spacing + ALMOST).astype(np.int64)
    level = np.flatnonzero(np.diff(rows.y, prepend=-np.inf) > 0)
    starts = np.append(level, len(rows)).astype(np.int64)
    lowest = rows.height.min() if len(rows) else 1.0
    across = np.ceil(np.concatenate([obstacles[:, 3] - obstacles[:, 1], later]) / lowest) + 1
    nodes = len(rows) + int(np.minimum(across, len(level)).sum())
    shape = (rows.x, rows.y, rows.height, rows.spacing, upside_down(rows.orient), rows.y[level], starts)
    sites = Sites(*shape, *_whole_rows(count, nodes))
    carve_all(sites, obstacles)
    return sites


def _whole_rows(count: Ints, nodes: int) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    lo, hi, after = np.zeros(nodes, np.int64), np.zeros(nodes, np.int64), np.full(nodes, -1)
    hi[: len(count)] = count
    head = np.where(count > 0, np.arange(len(count)), -1)
    return head, lo, hi, after, np.array([len(count)])


def upside_down(codes: Ints) -> Bools:
    """Whether the bottom edge of a cell in N comes to lie above its centre, for codes that keep width and height in place."""
    flipped: Bools = orient.MATRICES[codes][:, 1, 1] < 0
    return flipped


def made_rows(design: Design) -> Rows:
    """For designs without rows: as high as their commonest cell, with sites far finer than any cell."""
    left, bottom, right, top = design.die
    cells = (design.kind == 0) & (design.height > 0)
    heights, times = np.unique(design.height[cells], return_counts=True)
    high = float(heights[np.argmax(times)]) if len(heights) else top - bottom
    pitch = (right - left) / 2**20
    levels = range(int((top - bottom) / high + ALMOST))
    return Rows.of([[left, bottom + i * high, high, pitch, pitch, 2**20, orient.N] for i in levels])


def _apart(rows: Rows) -> tuple[Rows, Floats]:
    """Sorted rows that do not overlap, levels made exactly equal, and where each ends."""
    order = np.lexsort((rows.x, rows.y))
    y = rows.y[order]
    close = np.diff(y, prepend=-np.inf) <= ALMOST * rows.height[order]
    y = y[np.maximum.accumulate(np.where(close, 0, np.arange(len(y))))]
    right = rows.right[order]
    follows = y[1:] == y[:-1]
    right[:-1] = np.where(follows, np.minimum(right[:-1], rows.x[order][1:]), right[:-1])
    kept = _clear_of_others(np.stack([rows.x[order], y, right, y + rows.height[order]], axis=1))
    at = order[kept]
    columns = (rows.height, rows.site_width, rows.spacing, rows.sites, rows.orient)
    return Rows(rows.x[at], y[kept], *(c[at] for c in columns)), right[kept]  # type: ignore[arg-type]


@njit(cache=True)
def _clear_of_others(boxes: np.ndarray) -> np.ndarray:
    """Indices of boxes, sorted by bottom, that have an area and overlap no kept one below."""
    kept = np.empty(len(boxes), np.int64)
    n, low = 0, 0
    for i in range(len(boxes)):
        slack = ALMOST * (boxes[i, 3] - boxes[i, 1])
        while low < n and boxes[kept[low], 3] <= boxes[i, 1] + slack:
            low += 1
        clear = boxes[i, 2] > boxes[i, 0]
        for k in range(low, n):
            b = boxes[kept[k]]
            apart = b[3] <= boxes[i, 1] + slack or b[0] >= boxes[i, 2] or b[2] <= boxes[i, 0]
            clear &= apart
        if clear:
            kept[n] = i
            n += 1
    return kept[:n]


@njit(cache=True)
def carve_all(s: Sites, boxes: np.ndarray) -> None:
    """Take every site that a box (left, bottom, right, top) touches. A box that is NaN touches nothing."""
    tallest = s.height.max() if len(s.height) else 0.0
    for left, bottom, right, top in boxes:
        first = np.searchsorted(s.level_y, bottom - tallest)
        for row in range(s.level_start[first], len(s.y)):
            slack = ALMOST * s.height[row]
            if s.y[row] >= top - slack:
                break
            if s.y[row] + s.height[row] > bottom + slack and right > left:
                carve(s, row, left, right)


@njit(cache=True)
def carve(s: Sites, row: int, left: float, right: float) -> None:
    """Take the sites of a row that left .. right touches."""
    a, b = (left - s.x[row]) / s.pitch[row] + ALMOST, (right - s.x[row]) / s.pitch[row] - ALMOST
    end = 2.0**62
    lo, hi = int(np.floor(min(max(a, 0.0), end))), int(np.ceil(min(max(b, 0.0), end)))
    before, node = -1, s.head[row]
    while node >= 0 and s.lo[node] < hi:
        follows = s.after[node]
        if s.hi[node] > lo and lo < hi:
            if s.lo[node] < lo and s.hi[node] > hi:
                _split(s, node, lo, hi)
                return
            if s.lo[node] < lo:
                s.hi[node] = lo
            elif s.hi[node] > hi:
                s.lo[node] = hi
            else:
                _unlink(s, row, before)
                node = before
        before, node = node, follows


@njit(cache=True)
def _split(s: Sites, node: int, lo: int, hi: int) -> None:
    new = s.used[0]
    s.used[0] += 1
    s.lo[new], s.hi[new], s.after[new] = hi, s.hi[node], s.after[node]
    s.hi[node], s.after[node] = lo, new


@njit(cache=True)
def _unlink(s: Sites, row: int, before: int) -> None:
    """Drop the node that follows `before` (-1: the row's first)."""
    if before < 0:
        s.head[row] = s.after[s.head[row]]
    else:
        s.after[before] = s.after[s.after[before]]
