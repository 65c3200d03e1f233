"""Segments: the free stretches that one group of cells may use, in reals, level by level from left to right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from kerf.placement.legalize.sites import ALMOST, Sites


class Segments(NamedTuple):
    """S segments. x: left edge; pitch, sites: its sites; y: bottom; room: the highest cell that it takes; row: of `Sites`; all (S,).
    flipped: (S,). level_y: (L,), level_start: (L + 1,): the segments of each level, sorted by x."""

    x: np.ndarray
    y: np.ndarray
    pitch: np.ndarray
    sites: np.ndarray
    room: np.ndarray
    row: np.ndarray
    flipped: np.ndarray
    level_y: np.ndarray
    level_start: np.ndarray


def inside(sites: Sites, box: np.ndarray) -> Segments:
    """The free stretches as far as they lie in the box (left, bottom, right, top)."""
    row, lo, hi = _listed(sites, box)
    y = sites.y[row]
    level = np.flatnonzero(np.diff(y, prepend=-np.inf) > 0)
    room = np.minimum(sites.height[row], box[3] - y)
    x = sites.x[row] + lo * sites.pitch[row]
    starts = np.append(level, len(row)).astype(np.int64)
    return Segments(
        x, y, sites.pitch[row], hi - lo, room, row, sites.flipped[row], np.ascontiguousarray(y[level]), starts
    )


@njit(cache=True)
def _listed(s: Sites, box: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rows, los, his = (
        np.empty(s.used[0], np.int64),
        np.empty(s.used[0], np.int64),
        np.empty(s.used[0], np.int64),
    )
    n = 0
    for row in range(len(s.y)):
        first = np.ceil((box[0] - s.x[row]) / s.pitch[row] - ALMOST)
        end = np.floor((box[2] - s.x[row]) / s.pitch[row] + ALMOST)
        node = s.head[row]
        if s.y[row] < box[1] - ALMOST * s.height[row] or s.y[row] >= box[3]:
            node = -1
        while node >= 0:
            lo, hi = max(s.lo[node] + 0.0, first), min(s.hi[node] + 0.0, end)
            if hi > lo:
                rows[n], los[n], his[n] = row, int(lo), int(hi)
                n += 1
            node = s.after[node]
    return rows[:n], los[:n], his[:n]
