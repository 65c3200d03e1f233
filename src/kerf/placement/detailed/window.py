"""Neighbouring cells of one segment, by themselves: what their nets cost along the row in any order, and their best sites.

Lengths here are in sites from the row's origin. Everything outside the window stays still, so a net is reduced to the box of its other pins.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerf.placement.detailed.board import Board
from kerf.placement.detailed.clump import Clumps, bend, close_clump, empty_clumps, open_clump
from kerf.placement.detailed.compiled import inner, outer
from kerf.placement.detailed.moves import bounds, size

WALL = 1e7
"""The slope, in total weights, that keeps a cell in its box."""


class Window(NamedTuple):
    """For n cells with k incidences: low, high, weight (k,) the outer box of each net of theirs; start (n + 1,), net, first, last (k,) each
    cell's incidences: the net here and the extent of its pins from the cell's left edge; wide, least, most (n,) its sites and bounds;
    head, tail (k,) the leftmost and rightmost of a net's cells in the order looked at; site (n,) the answer, by cell; filled (2,) cells
    and nets; wall (1,) the slope of a bound; was (n,) where centres were, while a move is tried."""

    low: np.ndarray
    high: np.ndarray
    weight: np.ndarray
    start: np.ndarray
    net: np.ndarray
    first: np.ndarray
    last: np.ndarray
    wide: np.ndarray
    least: np.ndarray
    most: np.ndarray
    head: np.ndarray
    tail: np.ndarray
    site: np.ndarray
    filled: np.ndarray
    wall: np.ndarray
    was: np.ndarray
    clumps: Clumps


@outer
def empty_window(cells: int, incidences: int) -> Window:
    return Window(
        np.zeros(incidences),
        np.zeros(incidences),
        np.zeros(incidences),
        np.zeros(cells + 1, np.int64),
        np.zeros(incidences, np.int64),
        np.zeros(incidences),
        np.zeros(incidences),
        np.zeros(cells, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(incidences, np.int64),
        np.zeros(incidences, np.int64),
        np.zeros(cells, np.int64),
        np.zeros(2, np.int64),
        np.zeros(1),
        np.zeros(cells),
        empty_clumps(cells + 1, 4 * incidences + 2 * cells),
    )


@inner
def look(b: Board, w: Window, segment: int, cells: np.ndarray, low: int, high: int) -> None:
    """Fill the window with these cells of a segment, which have the sites low .. high (not included) to themselves.

    Nets whose outer box spans all of those sites cost the same whatever happens here, and are left out."""
    b.stamp[0] += 1
    stamp, nets, k = b.stamp[0], 0, 0
    for cell in cells:
        b.seen[cell] = stamp
    w.wall[0] = 1.0
    for j in range(len(cells)):
        cell = cells[j]
        w.start[j] = k
        w.wide[j] = size(b, cell, segment)
        w.least[j], w.most[j] = bounds(b, cell, segment)
        for i in range(b.cell_start[cell], b.cell_start[cell + 1]):
            net = b.cell_net[i]
            if b.mark[net] != stamp:
                b.mark[net] = stamp
                b.slot[net] = _net(b, w, segment, net, nets, low, high)
                nets += b.slot[net] >= 0
            if b.slot[net] >= 0:
                w.net[k] = b.slot[net]
                w.first[k] = (b.off[0, i, 0] + b.width[cell] / 2) / b.step[segment]
                w.last[k] = (b.off[0, i, 1] + b.width[cell] / 2) / b.step[segment]
                w.wall[0] += b.weight[net]
                k += 1
    w.start[len(cells)] = k
    w.filled[0], w.filled[1] = len(cells), nets


@inner
def _net(b: Board, w: Window, segment: int, net: int, slot: int, low: int, high: int) -> int:
    """Put a net's outer box into a slot; -1 where it need not be looked at."""
    first, last = b.anchor[0, net, 0], b.anchor[0, net, 1]
    for i in range(b.net_start[net], b.net_start[net + 1]):
        cell = b.net_cell[i]
        if b.seen[cell] != b.stamp[0]:
            here = b.at[0, cell]
            first = min(first, here + b.net_off[0, i, 0])
            last = max(last, here + b.net_off[0, i, 1])
    w.low[slot] = (first - b.origin[segment]) / b.step[segment]
    w.high[slot] = (last - b.origin[segment]) / b.step[segment]
    w.weight[slot] = b.weight[net]
    return slot if w.low[slot] > low or w.high[slot] < high else -1


@inner
def arrange(w: Window, order: np.ndarray, low: int, high: int) -> float:
    """Put the window's cells, taken in this order, on their best sites of low .. high; returns what their nets cost along the row."""
    for j in order:
        for i in range(w.start[j], w.start[j + 1]):
            w.tail[w.net[i]] = j
            w.head[w.net[i]] = -1
    w.clumps.filled[0] = 0
    for place in range(len(order)):
        j = order[place]
        open_clump(w.clumps, place, w.wide[j])
        _bends(w, j, low, high)
        close_clump(w.clumps, low, high)
    _read_sites(w, order)
    return price(w, order)


@inner
def _bends(w: Window, j: int, low: int, high: int) -> None:
    """The function of one cell: it stretches to the left the nets it is first on, to the right those it is last on."""
    s = w.clumps
    n = s.filled[0] - 1
    for i in range(w.start[j], w.start[j + 1]):
        net = w.net[i]
        if w.head[net] < 0:
            w.head[net] = j
            s.slope[n] -= w.weight[net]
            if w.low[net] < np.inf:
                bend(s, w.low[net] - w.first[i], w.weight[net])
        if w.tail[net] == j:
            if w.high[net] > -np.inf:
                bend(s, w.high[net] - w.last[i], w.weight[net])
            else:
                s.slope[n] += w.weight[net]
    if w.least[j] > low or w.most[j] + w.wide[j] < high:
        s.slope[n] -= w.wall[0] * WALL
        bend(s, float(w.least[j]), w.wall[0] * WALL)
        bend(s, float(w.most[j]), w.wall[0] * WALL)


@inner
def _read_sites(w: Window, order: np.ndarray) -> None:
    s = w.clumps
    for n in range(s.filled[0]):
        site = s.site[n]
        last = s.head[n + 1] if n + 1 < s.filled[0] else len(order)
        for place in range(s.head[n], last):
            w.site[order[place]] = site
            site += w.wide[order[place]]


@inner
def price(w: Window, order: np.ndarray) -> float:
    """What the nets cost along the row with the cells on `site`, which rise in this order."""
    total = 0.0
    for net in range(w.filled[1]):
        w.head[net] = -1
    for j in order:
        for i in range(w.start[j], w.start[j + 1]):
            net = w.net[i]
            if w.head[net] < 0:
                w.head[net] = j
                total -= w.weight[net] * min(w.low[net], w.site[j] + w.first[i])
            if w.tail[net] == j:
                total += w.weight[net] * max(w.high[net], w.site[j] + w.last[i])
    return total
