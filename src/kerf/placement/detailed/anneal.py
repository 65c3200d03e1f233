"""Annealing at low temperature: out of the local optimum that passes of best moves end in.

As in TimberWolf (Sechen, Sangiovanni-Vincentelli, 1985) cells are inserted and exchanged within a window that narrows, and a move that costs
d is kept with probability exp(-d / T); unlike it, the window lies around the cell's optimal region, the placement is legal throughout and T
starts low. The threshold is drawn first, so that most moves are turned down for the moved cell's own nets alone.
"""

from __future__ import annotations

import numpy as np

from kerf.placement.detailed.board import Board
from kerf.placement.detailed.compiled import inner, outer
from kerf.placement.detailed.moves import (
    add,
    attempt,
    begin_after,
    bounds,
    centre,
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
from kerf.placement.detailed.nets import cost, outside
from kerf.placement.detailed.relocate import (
    Search,
    best_span,
    empty_search,
    nearest_level,
    nearest_segment,
    site_near,
)


@inner
def draw(state: np.ndarray) -> float:
    """A number of [0, 1) from a state (1,) of 64 bits: xorshift64* (Vigna, 2016)."""
    word = state[0]
    word ^= word >> np.uint64(12)
    word ^= word << np.uint64(25)
    word ^= word >> np.uint64(27)
    state[0] = word
    return float((word * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@inner
def away(state: np.ndarray) -> float:
    """A number of (-1, 1), small ones more often."""
    u = 2 * draw(state) - 1
    return u * abs(u)


@outer
def anneal(
    b: Board, cells: np.ndarray, state: np.ndarray, moves: int, temperature: float, reach: float, push: int
) -> float:
    """Propose so many moves of these cells at a temperature, in weighted length. `reach` is half the window's side, in the design's unit; up
    to `push` neighbours give way on either side. Returns the gain, which may be negative."""
    s = empty_search(b)
    gained = 0.0
    for _ in range(moves):
        cell = cells[int(draw(state) * len(cells))]
        allowed = -temperature * np.log(1.0 - draw(state))
        for axis in range(2):
            outside(b, axis, cell, s.mine[axis])
        x_low, x_high = best_span(b, s, 0, cell, s.mine[0])
        y_low, y_high = best_span(b, s, 1, cell, s.mine[1])
        x = min(max(b.at[0, cell], x_low), x_high) + reach * away(state)
        y = min(max(b.at[1, cell], y_low), y_high) + reach * away(state)
        below, above = nearest_level(b, y - b.height[cell] / 2)
        level = above if below < 0 or (above < len(b.level_y) and draw(state) < 0.5) else below
        segment = nearest_segment(b, level, x)
        if suits(b, cell, segment):
            if draw(state) < 0.5:
                gained += _insert(b, s, cell, segment, x, allowed, push)
            else:
                gained += _swap(b, s, cell, segment, x, allowed)
    return gained


@inner
def _alone(b: Board, s: Search, cell: int, segment: int, site: int, others: np.ndarray) -> float:
    """What one cell's move costs while all others stay."""
    mirrored = b.odd[segment] != b.odd[b.home[cell]]
    y = b.floor[segment] + b.height[cell] / 2
    total = cost(b, 0, cell, others[0], centre(b, cell, segment, site), False)
    total += cost(b, 1, cell, others[1], y, mirrored)
    total -= cost(b, 0, cell, others[0], b.at[0, cell], False)
    return total - cost(b, 1, cell, others[1], b.at[1, cell], False)


@inner
def _insert(b: Board, s: Search, cell: int, segment: int, x: float, allowed: float, push: int) -> float:
    wish = site_near(b, cell, segment, x)
    place = place_of(b, segment, wish)
    first, last = room(b, segment, place, cell, push)
    least, most = bounds(b, cell, segment)
    first, last = max(first, least), min(last - size(b, cell, segment), most)
    site = min(max(wish, first), last)
    if first > last or (segment == b.home[cell] and site == b.site[cell]):
        return 0.0
    if _alone(b, s, cell, segment, site, s.mine) > 2 * allowed:
        return 0.0
    s.trial.filled[0] = 0
    if not insert(b, s.trial, cell, segment, place, site):
        return 0.0
    gain = -attempt(b, s.trial, 1)
    if gain < -allowed:
        undo(b, s.trial)
        return 0.0
    keep_insert(b, s.trial)
    return gain


@inner
def _swap(b: Board, s: Search, cell: int, segment: int, x: float, allowed: float) -> float:
    place = place_of(b, segment, site_near(b, cell, segment, x))
    if place >= b.filled[segment]:
        return 0.0
    home, mine = b.home[cell], b.rank[cell]
    other = b.seq[b.seq_start[segment] + place]
    if (segment == home and abs(place - mine) <= 1) or not suits(b, other, home):
        return 0.0
    site = _into(b, cell, segment, place, x)
    back = _into(b, other, home, mine, b.at[0, cell])
    if site < 0 or back < 0:
        return 0.0
    found = _alone(b, s, cell, segment, site, s.mine)
    for axis in range(2):
        outside(b, axis, other, s.theirs[axis])
    found += _alone(b, s, other, home, back, s.theirs)
    if found > 2 * allowed:
        return 0.0
    s.trial.filled[0] = 0
    add(s.trial, cell, segment, site)
    add(s.trial, other, home, back)
    gain = -attempt(b, s.trial, 2)
    if gain < -allowed:
        undo(b, s.trial)
        return 0.0
    keep_swap(b, s.trial)
    return gain


@inner
def _into(b: Board, cell: int, segment: int, place: int, x: float) -> int:
    """The site nearest to x that a cell may take where another stands; -1 where there is not room enough."""
    least, most = bounds(b, cell, segment)
    first = max(end_before(b, segment, place, -1), least)
    last = min(begin_after(b, segment, place + 1, -1) - size(b, cell, segment), most)
    return -1 if first > last else min(max(site_near(b, cell, segment, x), first), last)
