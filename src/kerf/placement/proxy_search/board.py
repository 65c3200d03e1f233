"""What the search for a cheap proxy cost works on: a design, its rules and one placement, as flat arrays for numba.

Pins that share a net, a cell and a place are one: they change neither a net's box nor the grid cells that it joins. `load` holds the
congestion of every edge, horizontal ones row by row (row * columns + column), then vertical ones column by column (G + column * rows + row),
so that a wire of either direction is a run of neighbours in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from kerf.placement.design import Bools, Design, Floats, Grid, Ints, Kind, Placement
from kerf.placement.rules import Rules


class Board(NamedTuple):
    """C cells, M nets, P pins, G = columns x rows grid cells. All lengths in the design's unit.

    shape: (columns, rows, smooth, entries counted in the density's mean, in the congestion's). size: (cell width, cell height, horizontal
    and vertical share of a fully covered grid cell that a hard macro takes, supply in tracks of a horizontal and a vertical edge).
    hard, soft: indices of the movable ones. walls: (K, 4) rectangles that hard macros avoid: fixed hard objects, then keepouts.
    Mutable: x, y, turn (C,); px, py (P,) and spot (P,) of the pins; length (M,); full (G,) area share; raw, block (2G,) wires and hard macros
    (the same array where nothing is smoothed); sums (4,): weighted wirelength, the density's and the congestion's thresholds, spare. seen
    (G,), stamp (1,), places (2, longest net) and old (M,): scratch."""

    shape: tuple[int, int, int, int, int]
    size: tuple[float, float, float, float, float, float]
    scale: float
    clear: float
    net_start: np.ndarray
    net_weight: np.ndarray
    pin_cell: np.ndarray
    pin_x: np.ndarray
    pin_y: np.ndarray
    cell_start: np.ndarray
    cell_pins: np.ndarray
    pin_net: np.ndarray
    kind: np.ndarray
    width: np.ndarray
    height: np.ndarray
    box: np.ndarray
    halo: np.ndarray
    orients: np.ndarray
    hard: np.ndarray
    soft: np.ndarray
    walls: np.ndarray
    wall_halo: np.ndarray
    keepouts: np.ndarray
    x: np.ndarray
    y: np.ndarray
    turn: np.ndarray
    px: np.ndarray
    py: np.ndarray
    spot: np.ndarray
    length: np.ndarray
    full: np.ndarray
    raw: np.ndarray
    block: np.ndarray
    sums: np.ndarray
    seen: np.ndarray
    stamp: np.ndarray
    places: np.ndarray


def board(design: Design, grid: Grid, placement: Placement, rules: Rules) -> Board:
    """A board at a placement that gives every cell a place; its sums are not filled yet (`moves.fill`)."""
    start, pin_cell, pin_x, pin_y = _distinct_pins(design)
    pins, cells = len(pin_cell), design.cells
    spots = grid.columns * grid.rows
    by_cell = np.argsort(pin_cell, kind="stable")
    wide, high = grid.width / grid.columns, grid.height / grid.rows
    blocking = (
        ((design.kind == Kind.MACRO) | (design.kind == Kind.CELL)) & (design.width > 0) & (design.height > 0)
    )
    movable = ~rules.fixed
    raw = np.zeros(2 * spots)
    walls, wall_halo = _walls(design, placement, rules, blocking)
    return Board(
        shape=(grid.columns, grid.rows, grid.smooth, max(spots // 10, 1), max(2 * spots // 20, 1)),
        size=(
            wide,
            high,
            grid.used_h / (high * grid.routes_h),
            grid.used_v / (wide * grid.routes_v),
            high * grid.routes_h,
            wide * grid.routes_v,
        ),
        scale=1.0 / ((grid.width + grid.height) * (float(design.net_weight.sum()) or 1.0)),
        clear=design.tolerance,
        net_start=start,
        net_weight=design.net_weight.astype(np.float64),
        pin_cell=pin_cell,
        pin_x=pin_x,
        pin_y=pin_y,
        cell_start=np.searchsorted(pin_cell[by_cell], np.arange(cells + 1)),
        cell_pins=by_cell,
        pin_net=np.repeat(np.arange(design.nets), np.diff(start)),
        kind=design.kind,
        width=design.width,
        height=design.height,
        box=rules.box,
        halo=rules.halo,
        orients=rules.orients,
        hard=np.flatnonzero(blocking & movable),
        soft=np.flatnonzero((design.kind == Kind.SOFT) & movable),
        walls=walls,
        wall_halo=wall_halo,
        keepouts=rules.keepouts.reshape(-1, 4).astype(np.float64),
        x=placement.x.astype(np.float64),
        y=placement.y.astype(np.float64),
        turn=placement.orient.astype(np.int64),
        px=np.zeros(pins),
        py=np.zeros(pins),
        spot=np.zeros(pins, np.int64),
        length=np.zeros(design.nets),
        full=np.zeros(spots),
        raw=raw,
        block=raw if grid.smooth == 0 else np.zeros(2 * spots),
        sums=np.zeros(4),
        seen=np.zeros(spots, np.int64),
        stamp=np.zeros(1, np.int64),
        places=np.zeros((2, int(np.diff(start).max(initial=0)) + 1), np.int64),
    )


def _distinct_pins(design: Design) -> tuple[Ints, Ints, Floats, Floats]:
    """The nets' pins without repeated ones, each net's first pin still its first."""
    net_of = np.repeat(np.arange(design.nets), np.diff(design.net_start))
    keys = np.stack(
        [net_of.astype(np.float64), design.pin_cell.astype(np.float64), design.pin_x, design.pin_y]
    )
    _, first = np.unique(keys, axis=1, return_index=True)
    kept = np.sort(first)
    start = np.searchsorted(net_of[kept], np.arange(design.nets + 1))
    return start, design.pin_cell[kept], design.pin_x[kept], design.pin_y[kept]


def _walls(design: Design, placement: Placement, rules: Rules, blocking: Bools) -> tuple[Floats, Floats]:
    fixed = np.flatnonzero(blocking & rules.fixed)
    boxes = np.stack(design.boxes(placement), axis=1)[fixed]
    walls = np.concatenate([boxes, rules.keepouts.reshape(-1, 4)]).astype(np.float64)
    return walls, np.concatenate([rules.halo[fixed], np.zeros(len(rules.keepouts))])


def copy(of: Board) -> Board:
    """A board that moves on its own: the mutable arrays copied, the others shared."""
    raw = of.raw.copy()
    own = {name: getattr(of, name).copy() for name in MUTABLE}
    return of._replace(raw=raw, block=raw if of.block is of.raw else of.block.copy(), **own)


_LEAN: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
lean = njit(**_LEAN)
"""Compiles what allocates nothing. A board passed to a function would have its forty arrays' reference counts raised and lowered, which
takes five times as long as a move itself; without numba's run-time there are none."""
quick = njit(**_LEAN, fastmath=True)
"""The same, and sums may be taken in any order."""

MUTABLE = ("x", "y", "turn", "px", "py", "spot", "length", "full", "sums", "seen", "stamp", "places")
