"""A legal placement as detailed placement works on it: cells in segments, nets as boxes, everything in flat arrays for numba.

Shapes: C cells, N nets that can change length, I incidences of a cell on a net (several pins of one cell on one net are one incidence with
an extent), S segments, Q places in sequences. Axis 0 is x, axis 1 is y; a pair (low, high) closes many shapes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Ints, Placement
from kerf.placement.detailed import segments as ground
from kerf.placement.detailed.segments import Segments
from kerf.placement.rules import Rules

FLIP_X, FLIP_Y = 4, 6
"""An upright orientation's code with x (or y) mirrored is its exclusive or with these."""


class Board(NamedTuple):
    """Nets: weight (N,); net_start (N + 1,), net_cell (I,), net_off (2, I, 2) its cells and their pins' extents around their centres;
    anchor (2, N, 2) the box of its pins on cells that never move; edge (2, N, 4) lowest, second lowest, highest and second highest edge
    (the second over other cells than the first), owner (2, N, 2) the cells with the lowest and highest, -1 for the anchor.
    Cells: cell_start (C + 1,), cell_net (I,), off (2, I, 2) the same incidences by cell, twin (I,) where each is by net; at (2, C) centres;
    turn (C,), turns (C, 8) orientation and those allowed; width, height (C,); box (C, 4); home, site, rank (C,) segment, leftmost site
    and place in the segment's sequence; size (G, C) sites taken, by group of segments with one spacing.
    Segments: origin, step (S,) x = origin + step * site; floor, tall (S,) bottom and height; low, high (S,) sites; odd (S,) whether the
    row mirrors y; group (S,); zone (C,) and shut (Z, S), whether the cells of a zone must keep out; open (S,) whether cells may move there; seq_start (S + 1,), seq (Q,), filled (S,) cells from left to right. Levels, segments of one bottom: level_y (L,),
    level_start (L + 1,). Scratch: mark (N,), seen (C,), slot (N,), stamp (1,)."""

    weight: np.ndarray
    net_start: np.ndarray
    net_cell: np.ndarray
    net_off: np.ndarray
    anchor: np.ndarray
    edge: np.ndarray
    owner: np.ndarray
    cell_start: np.ndarray
    cell_net: np.ndarray
    off: np.ndarray
    twin: np.ndarray
    at: np.ndarray
    turn: np.ndarray
    turns: np.ndarray
    width: np.ndarray
    height: np.ndarray
    box: np.ndarray
    home: np.ndarray
    site: np.ndarray
    rank: np.ndarray
    size: np.ndarray
    origin: np.ndarray
    step: np.ndarray
    floor: np.ndarray
    tall: np.ndarray
    low: np.ndarray
    high: np.ndarray
    odd: np.ndarray
    group: np.ndarray
    zone: np.ndarray
    shut: np.ndarray
    open: np.ndarray
    seq_start: np.ndarray
    seq: np.ndarray
    filled: np.ndarray
    level_y: np.ndarray
    level_start: np.ndarray
    mark: np.ndarray
    seen: np.ndarray
    slot: np.ndarray
    stamp: np.ndarray


def set_up(design: Design, placement: Placement, rules: Rules) -> Board:
    """The board of a placement. Nets with a pin that has no place are left out: their length is unknown wherever the rest goes."""
    found = ground.find(design, placement, rules)
    arrays = _nets(design, placement, rules) | _cells(design, placement, rules, found)
    arrays |= _segments(design, found) | _sequences(design, found)
    arrays |= _rows_as_met(design, placement, found)
    nets = len(arrays["weight"])
    arrays |= {
        "mark": np.zeros(nets, np.int64),
        "seen": np.zeros(design.cells, np.int64),
        "slot": np.zeros(nets, np.int64),
        "stamp": np.zeros(1, np.int64),
    }
    return Board(**arrays)


def placement_of(board: Board, start: Placement) -> Placement:
    """Where everything is now; cells that did not move keep their very floats."""
    moved_x, moved_y = board.at
    return Placement(moved_x.copy(), moved_y.copy(), board.turn.astype(start.orient.dtype))


def _nets(design: Design, placement: Placement, rules: Rules) -> dict[str, np.ndarray]:
    """Incidences by net and by cell, anchors, empty boxes."""
    placed = np.isfinite(placement.x) & np.isfinite(placement.y)
    party = placed & ~rules.fixed
    net = np.repeat(np.arange(design.nets), np.diff(design.net_start))
    known = np.ones(design.nets, np.bool_)
    known[net[~placed[design.pin_cell]]] = False
    known &= design.net_weight > 0
    matrix = orient.MATRICES[placement.orient[design.pin_cell]]
    offset = np.einsum("pij,pj->ip", matrix, np.stack([design.pin_x, design.pin_y], axis=1))
    free = known[net] & party[design.pin_cell]
    inc_net, inc_cell, extent = _extents(net[free], design.pin_cell[free], offset[:, free], design.cells)
    still = known[net] & ~party[design.pin_cell]
    where = np.stack([placement.x, placement.y])[:, design.pin_cell[still]] + offset[:, still]
    anchor = np.tile(np.array([np.inf, -np.inf]), (2, design.nets, 1))
    for axis in (0, 1):
        np.minimum.at(anchor[axis, :, 0], net[still], where[axis])
        np.maximum.at(anchor[axis, :, 1], net[still], where[axis])
    parties = np.bincount(inc_net, minlength=design.nets)
    kept = (parties > 0) & (parties + np.isfinite(anchor[0, :, 0]) > 1)
    return _by_net_and_cell(design, kept, inc_net, inc_cell, extent) | {
        "weight": design.net_weight[kept].astype(np.float64),
        "anchor": np.ascontiguousarray(anchor[:, kept]),
        "edge": np.zeros((2, int(kept.sum()), 4)),
        "owner": np.full((2, int(kept.sum()), 2), -1, np.int64),
    }


def _extents(net: Ints, cell: Ints, offset: Floats, cells: int) -> tuple[Ints, Ints, Floats]:
    """Pins of one cell on one net as one incidence: its net, its cell and the (2, I, 2) extent of the offsets; by net, then cell."""
    key = net * cells + cell
    order = np.argsort(key, kind="stable")
    unique, starts = np.unique(key[order], return_index=True)
    if not len(unique):
        return np.empty(0, np.int64), np.empty(0, np.int64), np.empty((2, 0, 2))
    low = np.minimum.reduceat(offset[:, order], starts, axis=1)
    high = np.maximum.reduceat(offset[:, order], starts, axis=1)
    return unique // cells, unique % cells, np.stack([low, high], axis=2)


def _by_net_and_cell(
    design: Design, kept: Bools, inc_net: Ints, inc_cell: Ints, extent: Floats
) -> dict[str, np.ndarray]:
    chosen = kept[inc_net]
    renumber = np.cumsum(kept) - 1
    net, cell, extent = renumber[inc_net[chosen]], inc_cell[chosen], np.ascontiguousarray(extent[:, chosen])
    by_cell = np.argsort(cell, kind="stable")
    return {
        "net_start": np.searchsorted(net, np.arange(int(kept.sum()) + 1)),
        "net_cell": cell,
        "net_off": extent,
        "cell_start": np.searchsorted(cell[by_cell], np.arange(design.cells + 1)),
        "cell_net": net[by_cell],
        "off": np.ascontiguousarray(extent[:, by_cell]),
        "twin": by_cell,
    }


def _cells(design: Design, placement: Placement, rules: Rules, found: Segments) -> dict[str, np.ndarray]:
    return {
        "at": np.stack([placement.x, placement.y]).astype(np.float64),
        "turn": placement.orient.astype(np.int64),
        "turns": rules.orients,
        "width": design.width.astype(np.float64),
        "height": design.height.astype(np.float64),
        "box": rules.box.astype(np.float64),
        "zone": rules.zone,
        "home": found.home,
        "site": found.site,
    }


def _segments(design: Design, found: Segments) -> dict[str, np.ndarray]:
    rows = design.rows
    spacings, group = np.unique(rows.spacing[found.row], return_inverse=True)
    level_y, starts = np.unique(rows.y[found.row], return_index=True)
    return {
        "origin": rows.x[found.row],
        "step": rows.spacing[found.row],
        "floor": rows.y[found.row],
        "tall": rows.height[found.row],
        "low": found.first,
        "high": found.last,
        "group": group.astype(np.int64),
        "shut": found.shut,
        "open": np.ones(len(found), np.bool_),
        "size": np.stack([ground.sizes(design, s) for s in spacings] or [np.ones(design.cells, np.int64)]),
        "level_y": level_y,
        "level_start": np.append(starts, len(found)).astype(np.int64),
    }


def _sequences(design: Design, found: Segments) -> dict[str, np.ndarray]:
    """Cells of each segment from left to right, with room for as many of the narrowest as fit."""
    live = np.flatnonzero(found.home >= 0)
    steps = design.rows.spacing[found.row]
    narrowest = np.ones(len(found), np.int64)
    if len(live):
        narrowest = np.maximum(np.floor(design.width[live].min() / steps + 1e-9), 1).astype(np.int64)
    seq_start = np.concatenate([[0], np.cumsum((found.last - found.first) // narrowest + 1)])
    order = live[np.lexsort((found.site[live], found.home[live]))]
    count = np.bincount(found.home[live], minlength=len(found)) if len(found) else np.empty(0, np.int64)
    rank = np.zeros(design.cells, np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    seq = np.full(seq_start[-1], -1)
    seq[seq_start[found.home[order]] + rank[order]] = order
    return {"seq_start": seq_start, "seq": seq, "filled": count.astype(np.int64), "rank": rank}


def _rows_as_met(design: Design, placement: Placement, found: Segments) -> dict[str, np.ndarray]:
    """Which segments mirror y. A placement whose cells do not follow their rows' orientations is left its own way: none do."""
    odd = (design.rows.orient[found.row] & 2) // 2
    live = np.flatnonzero(found.home >= 0)
    follows = bool(((placement.orient[live] & 2) // 2 == odd[found.home[live]]).all())
    return {"odd": odd.astype(np.int64) if follows else np.zeros(len(found), np.int64)}
