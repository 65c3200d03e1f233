"""Where standard cells can stand: stretches of free sites, and who stands in them.

A segment is a run of sites of one row that no obstacle covers: fixed and multi-height cells, macros with their halos, keepouts; and that the
cells of each zone may use altogether or not at all. Cells that
detailed placement may move (*live* cells) lie wholly inside one segment, on its sites, apart from each other; any other cell is an
obstacle, so that what was wrong with a placement stays where it was and gets no worse.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from kerf.placement import orient
from kerf.placement.design import Bools, Design, Floats, Ints, Kind, Placement
from kerf.placement.detailed.compiled import outer
from kerf.placement.rules import Rules


@dataclass(frozen=True)
class Segments:
    """S segments, ordered from the bottom and from the left. row: (S,) its row in the design. first, last: (S,) sites of that row, `last`
    not included. shut: (Z, S) whether the cells of a zone must keep out. home, site: (C,) the segment of each live cell, -1 for other
    cells, and the site at its left edge."""

    row: Ints
    first: Ints
    last: Ints
    shut: Bools
    home: Ints
    site: Ints

    def __len__(self) -> int:
        return len(self.row)


def find(design: Design, placement: Placement, rules: Rules) -> Segments:
    """Segments and live cells. Cells that stand in the way of others drop out until none does."""
    live = _candidates(design, placement, rules)
    while True:
        segments = _cut(design, placement, rules, live)
        shut = np.zeros((len(rules.zones), len(segments[0])), np.bool_)
        for number, zone in enumerate(rules.zones):
            segments, shut = _divided(design, zone.barred, number, segments, shut)
        home, site = _seat(design, placement, rules, segments, live)
        seated = np.flatnonzero(home >= 0)
        home[seated[shut[rules.zone[seated], home[seated]]]] = -1
        if (home[live] >= 0).all():
            return Segments(*segments, shut, home, site)
        live &= home >= 0


def sizes(design: Design, spacing: float) -> Ints:
    """(C,) sites of this spacing that each cell takes."""
    slack = max(design.tolerance, 1e-9) / spacing
    return np.maximum(np.ceil(design.width / spacing - slack), 1).astype(np.int64)


def _candidates(design: Design, placement: Placement, rules: Rules) -> Bools:
    placed = np.isfinite(placement.x) & np.isfinite(placement.y)
    solid = (design.width > 0) & (design.height > 0) & ~orient.TURNED[placement.orient]
    plain = np.ones(design.cells, np.bool_)
    plain[list(design.rects)] = False
    return placed & solid & plain & (design.kind == Kind.CELL) & ~rules.fixed


def _cut(design: Design, placement: Placement, rules: Rules, live: Bools) -> tuple[Ints, Ints, Ints]:
    """Rows without what covers them: (row, first, last). Where rows overlap, the ground is the lower and the left one's."""
    rows, slack = design.rows, max(design.tolerance, 1e-9)
    order = np.lexsort((rows.x, rows.y))
    table = np.stack([rows.x, rows.y, rows.right, rows.y + rows.height], axis=1)[order]
    covers = np.concatenate([_obstacles(design, placement, rules, live), table])
    since = np.concatenate([np.full(len(covers) - len(rows), -1), np.arange(len(rows))])
    by_left = np.argsort(covers[:, 0], kind="stable")
    ground = (table, rows.spacing[order], rows.sites[order], covers[by_left], since[by_left], slack)
    runs = np.empty((_free_runs(*ground, np.empty((0, 3), np.int64)), 3), np.int64)
    _free_runs(*ground, runs)
    return order[runs[:, 0]], runs[:, 1].copy(), runs[:, 2].copy()


Runs = tuple[Ints, Ints, Ints]


def _divided(design: Design, barred: Floats, zone: int, runs: Runs, shut: Bools) -> tuple[Runs, Bools]:
    """Runs (row, first, last) cut where a zone's forbidden rectangles begin and end, and what each zone must keep out of, brought up to
    date: (Z, S). A site that an edge crosses is in no run."""
    if not len(barred):
        return runs, shut
    rows, slack = design.rows, max(design.tolerance, 1e-9)
    parts, whose = [], []
    for run, (row, first, last) in enumerate(zip(*(each.tolist() for each in runs))):
        floor, top = rows.y[row], rows.y[row] + rows.height[row]
        across = barred[(np.minimum(barred[:, 3], top) - np.maximum(barred[:, 1], floor)) > slack]
        begin, end = (across[:, [0, 2]].T - rows.x[row]) / rows.spacing[row]
        unit = slack / rows.spacing[row]
        marks = np.unique(np.clip(np.concatenate([[first, last], begin, end]), first, last))
        for low, high in itertools.pairwise(marks):
            low, high, middle = np.ceil(low - unit), np.floor(high + unit), (low + high) / 2
            if high > low:
                parts.append((row, int(low), int(high), bool(((begin < middle) & (middle < end)).any())))
                whose.append(run)
    table = np.array(parts, dtype=np.int64).reshape(-1, 4)
    shut = shut[:, np.array(whose, dtype=np.int64)]
    shut[zone] = table[:, 3] > 0
    return (table[:, 0].copy(), table[:, 1].copy(), table[:, 2].copy()), shut


def _obstacles(design: Design, placement: Placement, rules: Rules, live: Bools) -> Floats:
    """(K, 4) rectangles that live cells must stay off."""
    hard = (design.kind == Kind.CELL) | (design.kind == Kind.MACRO)
    hard &= (
        ~live & np.isfinite(placement.x) & np.isfinite(placement.y) & (design.width > 0) & (design.height > 0)
    )
    boxes = np.stack(design.boxes(placement), axis=1)
    boxes += rules.halo[:, None] * np.array([-1.0, -1.0, 1.0, 1.0])
    parts = [rules.keepouts.reshape(-1, 4)]
    for cell, rects in design.rects.items():
        if hard[cell]:
            hard[cell] = False
            moved = [placement.x[cell] - design.initial.x[cell], placement.y[cell] - design.initial.y[cell]]
            halo = rules.halo[cell] * np.array([-1.0, -1.0, 1.0, 1.0])
            parts.append(rects + np.array(moved * 2) + halo)
    return np.concatenate([boxes[hard], *parts])


@outer
def _free_runs(
    table: np.ndarray,
    spacing: np.ndarray,
    sites: np.ndarray,
    covers: np.ndarray,
    since: np.ndarray,
    slack: float,
    runs: np.ndarray,
) -> int:
    """Fill `runs` with (row, first, last) as far as it goes, and count them. table: (R, 4) boxes of rows; covers: (K, 4) by left edge, each
    in the way of rows later than `since`."""
    count = 0
    for r in range(len(table)):
        at, unit = 0, slack / spacing[r]
        for k in range(len(covers) + 1):
            stop: int = sites[r]
            if k < len(covers):
                high = min(table[r, 3], covers[k, 3]) - max(table[r, 1], covers[k, 1])
                wide = min(table[r, 2], covers[k, 2]) - max(table[r, 0], covers[k, 0])
                if since[k] >= r or high <= slack or wide <= slack:
                    continue
                stop = min(stop, int(np.floor((covers[k, 0] - table[r, 0]) / spacing[r] + unit)))
            if stop > at:
                if count < len(runs):
                    runs[count, 0], runs[count, 1], runs[count, 2] = r, at, stop
                count += 1
            if k < len(covers):
                at = max(at, int(np.ceil((covers[k, 2] - table[r, 0]) / spacing[r] - unit)))
    return count


def _seat(
    design: Design, placement: Placement, rules: Rules, segments: tuple[Ints, Ints, Ints], live: Bools
) -> tuple[Ints, Ints]:
    """The segment and the site of each live cell; -1 where it stands off rows or sites, in another's way or outside its box."""
    home, site = np.full(design.cells, -1), np.zeros(design.cells, np.int64)
    row, first, last = segments
    cells = np.flatnonzero(live)
    if not len(row) or not len(cells):
        return home, site
    rows, slack = design.rows, max(design.tolerance, 1e-9)
    left, bottom, right, top = (side[cells] for side in design.boxes(placement))
    at = _containing(rows.y[row], rows.x[row] + rows.spacing[row] * first, left, bottom, slack)
    step = (left - rows.x[row[at]]) / rows.spacing[row[at]]
    k = np.round(step).astype(np.int64)
    size = np.ceil((right - left) / rows.spacing[row[at]] - slack / rows.spacing[row[at]]).astype(np.int64)
    stands = np.abs(rows.y[row[at]] - bottom) <= slack
    stands &= np.abs(step - k) * rows.spacing[row[at]] <= slack
    stands &= (k >= first[at]) & (k + size <= last[at]) & (top - bottom <= rows.height[row[at]] + slack)
    box = rules.box[cells]
    stands &= (left >= box[:, 0] - slack) & (bottom >= box[:, 1] - slack)
    stands &= (right <= box[:, 2] + slack) & (top <= box[:, 3] + slack)
    order = np.lexsort((k, at))
    order = order[stands[order]]
    clear = np.ones(len(order), np.bool_)
    clear[1:] = (at[order][1:] != at[order][:-1]) | (k[order][1:] >= (k + size)[order][:-1])
    chosen = order[clear]
    home[cells[chosen]], site[cells] = at[chosen], k
    return home, site


def _containing(level: Floats, start: Floats, left: Floats, bottom: Floats, slack: float) -> Ints:
    """For each point the last segment that begins at or before it, in order of bottom and left."""
    span = float(start.max() - start.min()) + 1.0
    heights = np.unique(level)
    base = start.min()
    key = np.searchsorted(heights, level) * span + (start - base)
    nearest = np.clip(np.searchsorted(heights, bottom - slack), 0, len(heights) - 1)
    offset = np.clip(left - base + slack, 0, span - 0.5)
    return np.clip(np.searchsorted(key, nearest * span + offset, side="right") - 1, 0, len(level) - 1)
