"""Exact wirelength of a board, and what it becomes when cells move.

A net's box is kept as its edges with their owners and the next edges inside, so that the box without one cell is at hand (as in
incremental placers since TimberWolf). Gains are therefore exact, pins' offsets and orientations included.
"""

from __future__ import annotations

import numpy as np

from kerf.placement.detailed.board import FLIP_X, FLIP_Y, Board
from kerf.placement.detailed.compiled import inner, outer


@inner
def rescan(b: Board, axis: int, net: int) -> None:
    """Take the edges of one net afresh."""
    low, high = b.anchor[axis, net, 0], b.anchor[axis, net, 1]
    next_low, next_high, low_by, high_by = np.inf, -np.inf, -1, -1
    for i in range(b.net_start[net], b.net_start[net + 1]):
        cell = b.net_cell[i]
        here = b.at[axis, cell]
        first, last = here + b.net_off[axis, i, 0], here + b.net_off[axis, i, 1]
        if first < low:
            next_low, low, low_by = low, first, cell
        elif first < next_low:
            next_low = first
        if last > high:
            next_high, high, high_by = high, last, cell
        elif last > next_high:
            next_high = last
    edge, owner = b.edge[axis, net], b.owner[axis, net]
    edge[0], edge[1], edge[2], edge[3] = low, next_low, high, next_high
    owner[0], owner[1] = low_by, high_by


@inner
def extent(b: Board, axis: int, net: int) -> float:
    """The width (height) of one net's box, from its cells."""
    low, high = b.anchor[axis, net, 0], b.anchor[axis, net, 1]
    for i in range(b.net_start[net], b.net_start[net + 1]):
        here = b.at[axis, b.net_cell[i]]
        low = min(low, here + b.net_off[axis, i, 0])
        high = max(high, here + b.net_off[axis, i, 1])
    return high - low


@outer
def measure(b: Board) -> float:
    """Every box from nothing; returns the weighted sum."""
    total = 0.0
    for net in range(len(b.weight)):
        for axis in range(2):
            rescan(b, axis, net)
            total += b.weight[net] * (b.edge[axis, net, 2] - b.edge[axis, net, 0])
    return total


@inner
def outside(b: Board, axis: int, cell: int, others: np.ndarray) -> None:
    """Fill others[i] = (low, high) of each of the cell's nets without it."""
    begin = b.cell_start[cell]
    for i in range(begin, b.cell_start[cell + 1]):
        net = b.cell_net[i]
        edge = b.edge[axis, net]
        others[i - begin, 0] = edge[1] if b.owner[axis, net, 0] == cell else edge[0]
        others[i - begin, 1] = edge[3] if b.owner[axis, net, 1] == cell else edge[2]


@inner
def cost(b: Board, axis: int, cell: int, others: np.ndarray, where: float, mirrored: bool) -> float:
    """Length along one axis of the cell's nets, were its centre there."""
    total = 0.0
    begin = b.cell_start[cell]
    for i in range(begin, b.cell_start[cell + 1]):
        low, high = b.off[axis, i, 0], b.off[axis, i, 1]
        if mirrored:
            low, high = -high, -low
        reach = max(others[i - begin, 1], where + high) - min(others[i - begin, 0], where + low)
        total += b.weight[b.cell_net[i]] * reach
    return total


@inner
def mirror(b: Board, axis: int, cell: int) -> None:
    """Flip a cell in place: its pins' extents and its orientation, not yet its nets' boxes."""
    for i in range(b.cell_start[cell], b.cell_start[cell + 1]):
        low, high = b.off[axis, i, 0], b.off[axis, i, 1]
        b.off[axis, i, 0], b.off[axis, i, 1] = -high, -low
        twin = b.twin[i]
        b.net_off[axis, twin, 0], b.net_off[axis, twin, 1] = -high, -low
    b.turn[cell] ^= FLIP_X if axis == 0 else FLIP_Y


@inner
def change(b: Board, axis: int, cells: np.ndarray, count: int) -> float:
    """What the weighted length along an axis grows by over the kept boxes, with the first `count` cells where they are now.

    A net whose edges are other cells' and that still holds the moved pin inside its box has not changed."""
    b.stamp[0] += 1
    stamp = b.stamp[0]
    for k in range(count):
        b.seen[cells[k]] = stamp
    total = 0.0
    for k in range(count):
        for i in range(b.cell_start[cells[k]], b.cell_start[cells[k] + 1]):
            net = b.cell_net[i]
            if b.mark[net] != stamp and not _held(b, axis, cells[k], i):
                b.mark[net] = stamp
                total += b.weight[net] * (extent(b, axis, net) - b.edge[axis, net, 2] + b.edge[axis, net, 0])
    return total


@inner
def _held(b: Board, axis: int, cell: int, i: int) -> bool:
    net = b.cell_net[i]
    for side in range(2):
        by = b.owner[axis, net, side]
        if by >= 0 and b.seen[by] == b.stamp[0]:
            return False
    low, high = b.at[axis, cell] + b.off[axis, i, 0], b.at[axis, cell] + b.off[axis, i, 1]
    return low >= b.edge[axis, net, 0] and high <= b.edge[axis, net, 2]


@inner
def settle(b: Board, axis: int, cells: np.ndarray, count: int) -> None:
    """Keep the edges along an axis of the first `count` cells' nets, as they are now."""
    b.stamp[0] += 1
    stamp = b.stamp[0]
    for k in range(count):
        for i in range(b.cell_start[cells[k]], b.cell_start[cells[k] + 1]):
            net = b.cell_net[i]
            if b.mark[net] != stamp:
                b.mark[net] = stamp
                rescan(b, axis, net)
