"""What the search for a cheap proxy cost works on: a design, its rules and one placement, as flat arrays for numba.

Pins that share a net, a cell and a place are one, and nets that join the same pins from the same source are one: neither changes a box or a
route. `raw` holds the congestion of every edge, horizontal ones row by row (row * columns + column), then vertical ones column by column (G + column * rows + row),
so that a wire of either direction is a run of neighbours in memory.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from kerf.placement.design import Bools, Design, Floats, Grid, Ints, Kind, Placement
from kerf.placement.rules import Rules

Pin = tuple[float, float, float]


class Wires(NamedTuple):
    """What routes are added to, apart from the rest, because numba passes each array of a tuple as seven arguments.

    raw: (2G,). row, column: (G,) of each grid cell. places: (longest net,), the grid cells to be joined. shape: (G, columns, rows). size: what
    a track takes of a horizontal and a vertical edge."""

    raw: np.ndarray
    row: np.ndarray
    column: np.ndarray
    places: np.ndarray
    shape: tuple[int, int, int]
    size: tuple[float, float]


class Board(NamedTuple):
    """C cells, M nets, P pins, G = columns x rows grid cells. All lengths in the design's unit.

    shape: (columns, rows, smooth, entries counted in the density's mean, in the congestion's). size: (cell width, cell height, horizontal
    and vertical share of a fully covered grid cell that a hard macro takes).
    wires: `raw` again, and what routing needs. weight, tracks: (M,) in wirelength and routes. offset: (P, 2) of a pin in N. links: (P, 4), from
    cell_start[c] the pins of cell c with their net's number, first pin and end. hard, soft: indices of the movable ones. walls: (K, 4) rectangles that hard macros avoid: fixed hard objects, then keepouts.
    Mutable: x, y, turn (C,); at (P, 2) and spot (P,) of the pins; length (M,); full (G,) area share; raw, block (2G,) wires and hard macros
    (the same array where nothing is smoothed); sums (4,): weighted wirelength, the density's and the congestion's thresholds, congestion. seen
    (G,) and stamp (2,): scratch; stamp[1] says that the congestion is out of date."""

    shape: tuple[int, int, int, int, int]
    size: tuple[float, float, float, float]
    scale: float
    clear: float
    wires: Wires
    net_start: np.ndarray
    weight: np.ndarray
    tracks: np.ndarray
    offset: np.ndarray
    cell_start: np.ndarray
    links: np.ndarray
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
    at: np.ndarray
    spot: np.ndarray
    length: np.ndarray
    full: np.ndarray
    raw: np.ndarray
    block: np.ndarray
    sums: np.ndarray
    seen: np.ndarray
    stamp: np.ndarray


def board(design: Design, grid: Grid, placement: Placement, rules: Rules) -> Board:
    """A board at a placement that gives every cell a place; its sums are not filled yet (`moves.fill`)."""
    nets = _merged(design)
    spots = grid.columns * grid.rows
    by_cell = np.argsort(nets.cell, kind="stable")
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
        ),
        scale=1.0 / ((grid.width + grid.height) * (float(design.net_weight.sum()) or 1.0)),
        clear=design.tolerance,
        wires=Wires(
            raw=raw,
            row=np.repeat(np.arange(grid.rows), grid.columns),
            column=np.tile(np.arange(grid.columns), grid.rows),
            places=np.zeros(int(np.diff(nets.start).max(initial=0)) + 1, np.int64),
            shape=(spots, grid.columns, grid.rows),
            size=(1.0 / (high * grid.routes_h), 1.0 / (wide * grid.routes_v)),
        ),
        net_start=nets.start,
        weight=nets.weight,
        tracks=nets.tracks,
        offset=np.stack([nets.x, nets.y], axis=1),
        cell_start=np.searchsorted(nets.cell[by_cell], np.arange(design.cells + 1)),
        links=_links(nets, by_cell),
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
        at=np.zeros((len(nets.cell), 2)),
        spot=np.zeros(len(nets.cell), np.int32),
        length=np.zeros(len(nets.weight)),
        full=np.zeros(spots),
        raw=raw,
        block=raw if grid.smooth == 0 else np.zeros(2 * spots),
        sums=np.zeros(4),
        seen=np.zeros(spots, np.int64),
        stamp=np.zeros(2, np.int64),
    )


class _Nets(NamedTuple):
    """start (M + 1,); pins' cell, x, y (P,); weight (M,) in the wirelength, tracks (M,) of the route."""

    start: Ints
    cell: Ints
    x: Floats
    y: Floats
    weight: Floats
    tracks: Floats


def _merged(design: Design) -> _Nets:
    """Nets with the same first pin and the same others, in any order and however often, are one net: their boxes and routes are the same.
    Those of a single place are left out: they have neither."""
    at: dict[tuple[Pin, ...], int] = {}
    weight: list[float] = []
    tracks: list[float] = []
    pins = list(zip(design.pin_cell.tolist(), design.pin_x.tolist(), design.pin_y.tolist()))
    start = design.net_start.tolist()
    for net, own in enumerate(design.net_weight.tolist()):
        ends = pins[start[net] : start[net + 1]]
        key = (*ends[:1], *sorted(set(ends[1:]) - set(ends[:1])))
        if len(key) < 2:
            continue
        if key not in at:
            at[key] = len(at)
            weight.append(0.0)
            tracks.append(0.0)
        weight[at[key]] += own
        tracks[at[key]] += max(own, 1.0)
    flat = np.array([pin for key in at for pin in key]).reshape(-1, 3)
    cell, x, y = np.ascontiguousarray(flat[:, 0], np.int64), flat[:, 1].copy(), flat[:, 2].copy()
    return _Nets(np.cumsum([0, *map(len, at)]), cell, x, y, np.array(weight), np.array(tracks))


def _links(nets: _Nets, by_cell: Ints) -> NDArray[np.int32]:
    """(P, 4) cell by cell: a pin of the cell, its net, the net's first pin and the one after its last."""
    net_of = np.repeat(np.arange(len(nets.weight)), np.diff(nets.start))[by_cell]
    table = np.stack([by_cell, net_of, nets.start[net_of], nets.start[net_of + 1]], axis=1)
    return np.ascontiguousarray(table, np.int32)


def _walls(design: Design, placement: Placement, rules: Rules, blocking: Bools) -> tuple[Floats, Floats]:
    fixed = np.flatnonzero(blocking & rules.fixed)
    boxes = np.stack(design.boxes(placement), axis=1)[fixed]
    walls = np.concatenate([boxes, rules.keepouts.reshape(-1, 4)]).astype(np.float64)
    return walls, np.concatenate([rules.halo[fixed], np.zeros(len(rules.keepouts))])


def copy(of: Board) -> Board:
    """A board that moves on its own: the mutable arrays copied, the others shared."""
    raw = of.raw.copy()
    own = {name: getattr(of, name).copy() for name in MUTABLE}
    wires = of.wires._replace(raw=raw, places=of.wires.places.copy())
    return of._replace(wires=wires, raw=raw, block=raw if of.block is of.raw else of.block.copy(), **own)


_LEAN: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
lean = njit(**_LEAN)
"""Compiles what allocates nothing. A board passed to a function would have its forty arrays' reference counts raised and lowered, which
takes five times as long as a move itself; without numba's run-time there are none."""
quick = njit(**_LEAN, fastmath=True)
"""The same, and sums may be taken in any order."""
inlined = njit(**_LEAN, fastmath=True, forceinline=True)
"""The same, for what is called for every net: without a call, nothing of the board is passed."""

MUTABLE = ("x", "y", "turn", "at", "spot", "length", "full", "sums", "seen", "stamp")
