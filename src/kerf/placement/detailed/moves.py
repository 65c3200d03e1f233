"""Moves on a board: proposed, tried exactly, then kept or undone.

A plan lists cells with the segment and site each would take. `insert` makes room between two neighbours by pushing them, and those behind
them, no further than needed; `swap` lets two cells change places, each as near its best as the gaps around the other allow.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerf.placement.detailed.board import FLIP_Y, Board
from kerf.placement.detailed.compiled import inner, outer
from kerf.placement.detailed.nets import change, mirror, settle

SLACK = 1e-6
"""Lengths, or shares of a site, that rounding may cost."""
MOST = 64
"""Cells in one plan."""


class Plan(NamedTuple):
    """(MOST,) each: cells, the segment and leftmost site they would take, and where their centres were; filled (1,)."""

    cell: np.ndarray
    home: np.ndarray
    site: np.ndarray
    was: np.ndarray
    filled: np.ndarray


@outer
def empty_plan() -> Plan:
    return Plan(
        np.zeros(MOST, np.int64),
        np.zeros(MOST, np.int64),
        np.zeros(MOST, np.int64),
        np.zeros((2, MOST)),
        np.zeros(1, np.int64),
    )


@inner
def copy_plan(source: Plan, target: Plan) -> None:
    n = source.filled[0]
    target.filled[0] = n
    for k in range(n):
        target.cell[k], target.home[k], target.site[k] = source.cell[k], source.home[k], source.site[k]


@inner
def add(plan: Plan, cell: int, home: int, site: int) -> None:
    n = plan.filled[0]
    plan.cell[n], plan.home[n], plan.site[n] = cell, home, site
    plan.filled[0] = n + 1


@inner
def size(b: Board, cell: int, segment: int) -> int:
    """Sites that a cell takes in a segment."""
    return b.size[b.group[segment], cell]


@inner
def centre(b: Board, cell: int, segment: int, site: int) -> float:
    return b.origin[segment] + b.step[segment] * site + b.width[cell] / 2


@inner
def suits(b: Board, cell: int, segment: int) -> bool:
    """Whether a segment is open to a cell and tall enough, in its box, and asks for an orientation that it may take."""
    floor, top = b.floor[segment], b.floor[segment] + b.height[cell]
    if (
        not b.open[segment]
        or b.shut[b.zone[cell], segment]
        or top > b.floor[segment] + b.tall[segment] + SLACK
    ):
        return False
    if floor < b.box[cell, 1] - SLACK or top > b.box[cell, 3] + SLACK:
        return False
    return b.odd[segment] == b.odd[b.home[cell]] or b.turns[cell, b.turn[cell] ^ FLIP_Y]


@inner
def bounds(b: Board, cell: int, segment: int) -> tuple[int, int]:
    """The first and last leftmost site that a cell may take in a segment were it empty; none where the second is less."""
    first, last = b.low[segment], b.high[segment] - size(b, cell, segment)
    origin, step = b.origin[segment], b.step[segment]
    if origin + step * first < b.box[cell, 0] - SLACK:
        first = np.int64(np.ceil((b.box[cell, 0] - origin) / step - SLACK))
    if origin + step * last + b.width[cell] > b.box[cell, 2] + SLACK:
        last = np.int64(np.floor((b.box[cell, 2] - b.width[cell] - origin) / step + SLACK))
    return first, last


@inner
def place_of(b: Board, segment: int, site: int) -> int:
    """The place in a segment's sequence of its first cell at or after a site."""
    start = b.seq_start[segment]
    low, high = 0, b.filled[segment]
    while low < high:
        middle = (low + high) // 2
        if b.site[b.seq[start + middle]] < site:
            low = middle + 1
        else:
            high = middle
    return low


@inner
def end_before(b: Board, segment: int, place: int, without: int) -> int:
    """The first site free for a cell at this place: the end of the one before it, passing over the cell `without`."""
    start = b.seq_start[segment]
    place -= 1
    if place >= 0 and b.seq[start + place] == without:
        place -= 1
    if place < 0:
        return b.low[segment]
    cell = b.seq[start + place]
    return b.site[cell] + size(b, cell, segment)


@inner
def begin_after(b: Board, segment: int, place: int, without: int) -> int:
    """The site where the cell at this place, or the next if that is `without`, begins."""
    start = b.seq_start[segment]
    if place < b.filled[segment] and b.seq[start + place] == without:
        place += 1
    if place >= b.filled[segment]:
        return b.high[segment]
    return b.site[b.seq[start + place]]


@inner
def room(b: Board, segment: int, place: int, without: int, most: int) -> tuple[int, int]:
    """The free sites [first, last) at a place once up to `most` cells on either side are pushed away."""
    start = b.seq_start[segment]
    pushed, taken, j = 0, 0, place - 1
    while j >= 0 and (pushed < most or b.seq[start + j] == without):
        cell = b.seq[start + j]
        if cell != without:
            taken += size(b, cell, segment)
            pushed += 1
        j -= 1
    first = end_before(b, segment, j + 1, without) + taken
    pushed, taken, j = 0, 0, place
    while j < b.filled[segment] and (pushed < most or b.seq[start + j] == without):
        cell = b.seq[start + j]
        if cell != without:
            taken += size(b, cell, segment)
            pushed += 1
        j += 1
    return first, begin_after(b, segment, j, without) - taken


@inner
def insert(b: Board, plan: Plan, cell: int, segment: int, place: int, site: int) -> bool:
    """Add to a plan: the cell at a site before this place, its neighbours pushed away. False where one would leave its box."""
    add(plan, cell, segment, site)
    start = b.seq_start[segment]
    edge = site
    for j in range(place - 1, -1, -1):
        other = b.seq[start + j]
        if other == cell:
            continue
        wide = size(b, other, segment)
        if b.site[other] + wide <= edge:
            break
        edge -= wide
        if edge < bounds(b, other, segment)[0] or plan.filled[0] == MOST:
            return False
        add(plan, other, segment, edge)
    edge = site + size(b, cell, segment)
    for j in range(place, b.filled[segment]):
        other = b.seq[start + j]
        if other == cell:
            continue
        if b.site[other] >= edge:
            break
        if edge > bounds(b, other, segment)[1] or plan.filled[0] == MOST:
            return False
        add(plan, other, segment, edge)
        edge += size(b, other, segment)
    return True


@inner
def attempt(b: Board, plan: Plan, across: int) -> float:
    """Move the cells, the first `across` of which may change rows, and say by how much the wirelength grows. Then `keep_*` or `undo`."""
    for k in range(plan.filled[0]):
        cell, segment = plan.cell[k], plan.home[k]
        plan.was[0, k], plan.was[1, k] = b.at[0, cell], b.at[1, cell]
        b.at[0, cell] = centre(b, cell, segment, plan.site[k])
        if segment != b.home[cell]:
            b.at[1, cell] = b.floor[segment] + b.height[cell] / 2
            if b.odd[segment] != b.odd[b.home[cell]]:
                mirror(b, 1, cell)
    gain = change(b, 0, plan.cell, plan.filled[0])
    return gain + change(b, 1, plan.cell, across)


@inner
def undo(b: Board, plan: Plan) -> None:
    for k in range(plan.filled[0]):
        cell = plan.cell[k]
        b.at[0, cell], b.at[1, cell] = plan.was[0, k], plan.was[1, k]
        if b.odd[plan.home[k]] != b.odd[b.home[cell]]:
            mirror(b, 1, cell)


@inner
def keep_insert(b: Board, plan: Plan) -> None:
    """Keep a plan of one `insert`: its first cell changes segment or place, the others only shift."""
    settle(b, 0, plan.cell, plan.filled[0])
    settle(b, 1, plan.cell, 1)
    cell, segment = plan.cell[0], plan.home[0]
    _take_out(b, cell)
    for k in range(1, plan.filled[0]):
        b.site[plan.cell[k]] = plan.site[k]
    b.site[cell] = plan.site[0]
    _put_in(b, cell, segment)


@inner
def keep_swap(b: Board, plan: Plan) -> None:
    """Keep a plan of one `swap`: two cells take each other's place."""
    settle(b, 0, plan.cell, 2)
    settle(b, 1, plan.cell, 2)
    one, two = plan.cell[0], plan.cell[1]
    b.home[one], b.home[two] = plan.home[0], plan.home[1]
    b.site[one], b.site[two] = plan.site[0], plan.site[1]
    b.rank[one], b.rank[two] = b.rank[two], b.rank[one]
    for cell in (one, two):
        b.seq[b.seq_start[b.home[cell]] + b.rank[cell]] = cell


@inner
def _take_out(b: Board, cell: int) -> None:
    segment = b.home[cell]
    start = b.seq_start[segment]
    b.filled[segment] -= 1
    for j in range(b.rank[cell], b.filled[segment]):
        other = b.seq[start + j + 1]
        b.seq[start + j] = other
        b.rank[other] = j


@inner
def _put_in(b: Board, cell: int, segment: int) -> None:
    start = b.seq_start[segment]
    j = b.filled[segment]
    b.filled[segment] += 1
    while j > 0 and b.site[b.seq[start + j - 1]] > b.site[cell]:
        other = b.seq[start + j - 1]
        b.seq[start + j] = other
        b.rank[other] = j
        j -= 1
    b.seq[start + j] = cell
    b.rank[cell] = j
    b.home[cell] = segment
