"""Passes along rows: best sites in the order given, best order of a few neighbours, and flips about the y axis."""

from __future__ import annotations

import numpy as np

from kerf.placement.detailed.board import FLIP_X, Board
from kerf.placement.detailed.compiled import inner, outer
from kerf.placement.detailed.moves import begin_after, centre, end_before
from kerf.placement.detailed.nets import change, cost, mirror, outside, settle
from kerf.placement.detailed.window import Window, arrange, empty_window, look, price


@outer
def shift_rows(b: Board, first: int, last: int, least: float) -> float:
    """Move the cells of each segment of first .. last (not included) to the best sites for their order. Returns what was gained, in weighted length; a segment that
    gains less than `least` stays as it is."""
    gained = 0.0
    for segment in range(first, last):
        n = b.filled[segment]
        if n:
            cells = b.seq[b.seq_start[segment] : b.seq_start[segment] + n].copy()
            w = empty_window(n, _incidences(b, cells))
            low, high = b.low[segment], b.high[segment]
            look(b, w, segment, cells, low, high)
            order = np.arange(n)
            arrange(w, order, low, high)
            gained += _adopt(b, w, segment, cells, order, least)
    return gained


@inner
def _incidences(b: Board, cells: np.ndarray) -> int:
    total = 1
    for cell in cells:
        total += b.cell_start[cell + 1] - b.cell_start[cell]
    return total


@inner
def _adopt(b: Board, w: Window, segment: int, cells: np.ndarray, order: np.ndarray, least: float) -> float:
    """Put a window's cells where it says, in this order, if that gains at least `least`; returns the gain or 0."""
    n = len(cells)
    for j in range(n):
        w.was[j] = b.at[0, cells[j]]
        b.at[0, cells[j]] = centre(b, cells[j], segment, w.site[j])
    gain = -change(b, 0, cells, n)
    if gain < least:
        for j in range(n):
            b.at[0, cells[j]] = w.was[j]
        return 0.0
    settle(b, 0, cells, n)
    place = b.rank[cells[0]]
    for i in range(n):
        cell = cells[order[i]]
        b.site[cell] = w.site[order[i]]
        b.rank[cell] = place + i
        b.seq[b.seq_start[segment] + place + i] = cell
    return gain


@outer
def reorder_rows(b: Board, first: int, last: int, orders: np.ndarray, least: float) -> float:
    """Try every order of each `orders.shape[1]` neighbours in segments first .. last (not included), on their best sites. orders: (F, K) permutations. Returns the gain."""
    gained = 0.0
    k = orders.shape[1]
    w = empty_window(k, k * _widest(b) + 1)
    for segment in range(first, last):
        for place in range(b.filled[segment] - k + 1):
            start = b.seq_start[segment] + place
            cells = b.seq[start : start + k].copy()
            low = end_before(b, segment, place, -1)
            high = begin_after(b, segment, place + k, -1)
            look(b, w, segment, cells, low, high)
            best = _best_order(b, w, cells, orders, low, high)
            if best >= 0:
                arrange(w, orders[best], low, high)
                gained += _adopt(b, w, segment, cells, orders[best], least)
    return gained


@inner
def _best_order(b: Board, w: Window, cells: np.ndarray, orders: np.ndarray, low: int, high: int) -> int:
    """The row of `orders` that costs least; -1 where none beats the present."""
    for j in range(len(cells)):
        w.site[j] = b.site[cells[j]]
        for i in range(w.start[j], w.start[j + 1]):
            w.tail[w.net[i]] = j
    least, best = price(w, orders[0]) - 1e-6, -1
    for f in range(len(orders)):
        found = arrange(w, orders[f], low, high)
        if found < least and _inside(w):
            least, best = found, f
    return best


@inner
def _inside(w: Window) -> bool:
    """Whether every cell of the window keeps to its bounds."""
    kept = True
    for j in range(w.filled[0]):
        kept &= w.least[j] <= w.site[j] <= w.most[j]
    return kept


@inner
def _widest(b: Board) -> int:
    most = 1
    for cell in range(len(b.cell_start) - 1):
        if b.home[cell] >= 0:
            most = max(most, b.cell_start[cell + 1] - b.cell_start[cell])
    return most


@outer
def flip_cells(b: Board, cells: np.ndarray, axis: int, least: float) -> float:
    """Flip in place each of these cells that gains by it and may: its pins across x (axis 0) or y. Returns the gain."""
    gained = 0.0
    moved = np.empty(1, np.int64)
    code = FLIP_X if axis == 0 else FLIP_X ^ 2
    for cell in cells:
        if b.turns[cell, b.turn[cell] ^ code]:
            others = np.empty((b.cell_start[cell + 1] - b.cell_start[cell] + 1, 2))
            outside(b, axis, cell, others)
            here = b.at[axis, cell]
            gain = cost(b, axis, cell, others, here, False) - cost(b, axis, cell, others, here, True)
            if gain >= least:
                mirror(b, axis, cell)
                moved[0] = cell
                settle(b, axis, moved, 1)
                gained += gain
    return gained
