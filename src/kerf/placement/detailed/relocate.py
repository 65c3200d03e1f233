"""Global swap: each cell to where its nets would have it, into a gap, between neighbours that make room, or in exchange for another cell.

After FastPlace (Pan, Viswanathan, Chu: An efficient and effective detailed placement algorithm, ICCAD 2005): the optimal region of a cell
is the box of medians of its nets' edges. Rows are tried from the best outwards while the cell alone could still gain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerf.placement.detailed.board import Board
from kerf.placement.detailed.compiled import inner, outer
from kerf.placement.detailed.moves import (
    Plan,
    attempt,
    begin_after,
    bounds,
    centre,
    copy_plan,
    empty_plan,
    end_before,
    insert,
    keep_insert,
    keep_swap,
    place_of,
    room,
    size,
    suits,
    undo,
)
from kerf.placement.detailed.moves import add as propose
from kerf.placement.detailed.nets import cost, outside


class Search(NamedTuple):
    """Scratch: boxes of nets without the cell and without its partner, (2, K, 2) each, and plans tried and best."""

    mine: np.ndarray
    theirs: np.ndarray
    points: np.ndarray
    weights: np.ndarray
    trial: Plan
    best: Plan


@outer
def empty_search(b: Board) -> Search:
    most = 1
    for cell in range(len(b.cell_start) - 1):
        most = max(most, b.cell_start[cell + 1] - b.cell_start[cell])
    return Search(
        np.zeros((2, most, 2)),
        np.zeros((2, most, 2)),
        np.zeros(2 * most),
        np.zeros(2 * most),
        empty_plan(),
        empty_plan(),
    )


@inner
def best_span(b: Board, s: Search, axis: int, cell: int, others: np.ndarray) -> tuple[float, float]:
    """The interval of centres that cost least along an axis: between the two weighted medians of the nets' edges."""
    n, total = 0, 0.0
    begin = b.cell_start[cell]
    for i in range(begin, b.cell_start[cell + 1]):
        weight = b.weight[b.cell_net[i]]
        total += weight
        for side in range(2):
            where = others[i - begin, side] - b.off[axis, i, side]
            k = n
            while k > 0 and s.points[k - 1] > where:
                s.points[k], s.weights[k] = s.points[k - 1], s.weights[k - 1]
                k -= 1
            s.points[k], s.weights[k] = where, weight
            n += 1
    slope = -total
    for k in range(n):
        slope += s.weights[k]
        if slope >= 1e-9:
            return s.points[k], s.points[k]
        if slope > -1e-9:
            return s.points[k], s.points[min(k + 1, n - 1)]
    return b.at[axis, cell], b.at[axis, cell]


@outer
def relocate(b: Board, cells: np.ndarray, levels: int, breadth: int, push: int, least: float) -> float:
    """Take each cell to the best place found for it, if that gains at least `least`. Up to `levels` rows are tried, in each `breadth`
    cells either side of the best place, pushing up to `push` cells. Returns the gain."""
    s = empty_search(b)
    gained = 0.0
    for cell in cells:
        if b.home[cell] >= 0:
            gained += _relocate_one(b, s, cell, levels, breadth, push, least)
    return gained


@inner
def _relocate_one(
    b: Board, s: Search, cell: int, levels: int, breadth: int, push: int, least: float
) -> float:
    """Look through rows, the best first, until no better gain is possible even for the cell alone; then make the best move found."""
    own, ideal, goal, floor = _aim(b, s, cell)
    below, above = nearest_level(b, floor)
    gain, swapped = least, False
    for _ in range(levels):
        level = _next_level(b, s, cell, below, above)
        across = _across(b, s, cell, level) if level >= 0 else np.inf
        if own - ideal - across < gain:
            break
        below, above = below - (level == below), above + (level == above)
        segment = nearest_segment(b, level, goal)
        if suits(b, cell, segment):
            inserted = _try_inserts(b, s, cell, segment, goal, own - across, breadth, push, gain)
            gain, swapped = inserted, swapped and inserted == gain
            exchanged = _try_swaps(b, s, cell, segment, goal, own - across, breadth, gain)
            gain, swapped = exchanged, swapped or exchanged > gain
    return _carry_out(b, s, swapped, gain) if gain > least else 0.0


@inner
def _aim(b: Board, s: Search, cell: int) -> tuple[float, float, float, float]:
    """What the cell's nets cost now, and at least along x; the x to aim at, and the height of the bottom edge."""
    for axis in range(2):
        outside(b, axis, cell, s.mine[axis])
    x_low, x_high = best_span(b, s, 0, cell, s.mine[0])
    y_low, y_high = best_span(b, s, 1, cell, s.mine[1])
    x, y = b.at[0, cell], b.at[1, cell]
    own = cost(b, 0, cell, s.mine[0], x, False) + cost(b, 1, cell, s.mine[1], y, False)
    goal = min(max(x, x_low), x_high)
    ideal = cost(b, 0, cell, s.mine[0], goal, False)
    return own, ideal, goal, min(max(y, y_low), y_high) - b.height[cell] / 2


@inner
def _carry_out(b: Board, s: Search, swapped: bool, gain: float) -> float:
    copy_plan(s.best, s.trial)
    attempt(b, s.trial, 2 if swapped else 1)
    if swapped:
        keep_swap(b, s.trial)
    else:
        keep_insert(b, s.trial)
    return gain


@inner
def nearest_level(b: Board, floor: float) -> tuple[int, int]:
    """The levels below and above a height, the nearer side first to be compared; -1 or L where there is none."""
    above, high = 0, len(b.level_y)
    while above < high:
        middle = (above + high) // 2
        if b.level_y[middle] < floor:
            above = middle + 1
        else:
            high = middle
    return above - 1, above


@inner
def _across(b: Board, s: Search, cell: int, level: int) -> float:
    """What the cell costs along y on a level."""
    segment = b.level_start[level]
    mirrored = b.odd[segment] != b.odd[b.home[cell]]
    return cost(b, 1, cell, s.mine[1], b.level_y[level] + b.height[cell] / 2, mirrored)


@inner
def _next_level(b: Board, s: Search, cell: int, below: int, above: int) -> int:
    """The cheaper of two levels, one of which may not exist; -1 where neither does."""
    if below < 0:
        return above if above < len(b.level_y) else -1
    if above >= len(b.level_y):
        return below
    return below if _across(b, s, cell, below) <= _across(b, s, cell, above) else above


@inner
def nearest_segment(b: Board, level: int, x: float) -> int:
    low, high = b.level_start[level], b.level_start[level + 1]
    best, distance = low, np.inf
    for segment in range(low, high):
        left = b.origin[segment] + b.step[segment] * b.low[segment]
        right = b.origin[segment] + b.step[segment] * b.high[segment]
        off = max(left - x, x - right, 0.0)
        if off < distance:
            best, distance = segment, off
        if off == 0.0 or left > x:
            break
    return best


@inner
def site_near(b: Board, cell: int, segment: int, x: float) -> int:
    """The site whose choice puts a cell's centre nearest to x."""
    return int(np.round((x - b.width[cell] / 2 - b.origin[segment]) / b.step[segment]))


@inner
def _try_inserts(
    b: Board,
    s: Search,
    cell: int,
    segment: int,
    goal: float,
    left: float,
    breadth: int,
    push: int,
    gain: float,
) -> float:
    """The best insertion near the goal, into `s.best`; returns its gain, or `gain` where none is better."""
    wish = site_near(b, cell, segment, goal)
    least, most = bounds(b, cell, segment)
    middle = place_of(b, segment, wish)
    for place in range(max(middle - breadth, 0), min(middle + breadth, b.filled[segment]) + 1):
        for pushed in (0, push):
            first, last = room(b, segment, place, cell, pushed)
            first, last = max(first, least), min(last - size(b, cell, segment), most)
            if first > last:
                continue
            site = min(max(wish, first), last)
            alone = left - cost(b, 0, cell, s.mine[0], centre(b, cell, segment, site), False)
            if alone > gain:
                s.trial.filled[0] = 0
                if insert(b, s.trial, cell, segment, place, site):
                    found = -attempt(b, s.trial, 1)
                    undo(b, s.trial)
                    if found > gain:
                        gain = found
                        copy_plan(s.trial, s.best)
    return gain


@inner
def _try_swaps(
    b: Board, s: Search, cell: int, segment: int, goal: float, left: float, breadth: int, gain: float
) -> float:
    """The best exchange near the goal, into `s.best`; returns its gain, or `gain` where none is better."""
    wish = site_near(b, cell, segment, goal)
    least, most = bounds(b, cell, segment)
    middle = place_of(b, segment, wish)
    home, mine = b.home[cell], b.rank[cell]
    wide = size(b, cell, segment)
    low, high = end_before(b, home, mine, -1), begin_after(b, home, mine + 1, -1)
    for place in range(max(middle - breadth, 0), min(middle + breadth, b.filled[segment])):
        other = b.seq[b.seq_start[segment] + place]
        if segment == home and abs(place - mine) <= 1:
            continue
        first, last = end_before(b, segment, place, -1), begin_after(b, segment, place + 1, -1) - wide
        first, last = max(first, least), min(last, most)
        if first > last or size(b, other, home) > high - low or not suits(b, other, home):
            continue
        site = min(max(wish, first), last)
        alone = left - cost(b, 0, cell, s.mine[0], centre(b, cell, segment, site), False)
        found = _exchange(b, s, cell, segment, site, other, low, high, alone, gain)
        if found > gain:
            gain = found
            copy_plan(s.trial, s.best)
    return gain


@inner
def _exchange(
    b: Board,
    s: Search,
    cell: int,
    segment: int,
    site: int,
    other: int,
    low: int,
    high: int,
    alone: float,
    gain: float,
) -> float:
    """The gain of putting a cell on a site of another's place, and that on the best site of low .. high, into `s.trial`."""
    home = b.home[cell]
    for axis in range(2):
        outside(b, axis, other, s.theirs[axis])
    x_low, x_high = best_span(b, s, 0, other, s.theirs[0])
    least, most = bounds(b, other, home)
    least, most = max(low, least), min(high - size(b, other, home), most)
    if least > most:
        return 0.0
    wish = site_near(b, other, home, min(max(b.at[0, cell], x_low), x_high))
    back = min(max(wish, least), most)
    y = b.floor[home] + b.height[other] / 2
    theirs = cost(b, 0, other, s.theirs[0], b.at[0, other], False)
    theirs += cost(b, 1, other, s.theirs[1], b.at[1, other], False)
    theirs -= cost(b, 0, other, s.theirs[0], centre(b, other, home, back), False)
    theirs -= cost(b, 1, other, s.theirs[1], y, b.odd[home] != b.odd[segment])
    if alone + theirs <= gain:
        return 0.0
    s.trial.filled[0] = 0
    propose(s.trial, cell, segment, site)
    propose(s.trial, other, home, back)
    found = -attempt(b, s.trial, 2)
    undo(b, s.trial)
    return found
