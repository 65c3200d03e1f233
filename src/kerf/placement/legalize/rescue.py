"""Room for cells that found none: cells handed from segment to segment, along the cheapest path to one with room.

A cell that no segment has room for makes one overfull wherever it goes. Dijkstra's algorithm looks for the cheapest path along which each
segment hands on cells as wide as what it has too much, until one has room. What is too much shrinks on the way, because every segment's own
free sites count, so that scattered free sites add up (augmenting paths as in Brenner and Vygen, "Legalizing a placement with
minimum total movement", TCAD 2004, and Darav et al., "Eh?Legalizer", TODAES 2018).
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

import numpy as np
from numba import njit

from kerf.placement.legalize.abacus import Cells, whole
from kerf.placement.legalize.segments import Segments
from kerf.placement.legalize.sites import ALMOST

MOST = 8
"""Cells handed on at once."""


class Loads(NamedTuple):
    """What is in each of S segments. load: (S,) sites of its cells. first: (S,) one of its cells, after, before: (n,) the others;
    home: (n,) the segment of each cell or -1. near_start: (S + 1,), near: neighbours of each segment."""

    load: np.ndarray
    first: np.ndarray
    after: np.ndarray
    before: np.ndarray
    home: np.ndarray
    near_start: np.ndarray
    near: np.ndarray


class Tree(NamedTuple):
    """A search over segments, (S,) each. done; parent: -1 at a root; cost of the path there; incoming: sites handed in;
    handed: (S, MOST) the cells that would come, then -1."""

    done: np.ndarray
    parent: np.ndarray
    cost: np.ndarray
    incoming: np.ndarray
    handed: np.ndarray


@njit(cache=True)
def make_room(segs: Segments, cells: Cells, chosen: np.ndarray) -> np.ndarray:
    """(n,) a segment for each cell, starting from `chosen`, in which -1 is none; -1 for those that still have none.

    The widest cells first. Where cheap paths end nowhere, those are tried that hand on as little width as they may."""
    loads = _loads(segs, len(chosen))
    for i in range(len(chosen)):
        if chosen[i] >= 0:
            _put(segs, cells, loads, i, chosen[i])
    for i in np.argsort(-cells.width, kind="mergesort"):
        if chosen[i] < 0 and not _fit_in(segs, cells, loads, i, False):
            _fit_in(segs, cells, loads, i, True)
    return loads.home


@njit(cache=True)
def widest_first(segs: Segments, cells: Cells) -> np.ndarray:
    """(n,) a segment for each cell or -1: the widest first, each into the cheapest with room, the others by `make_room`."""
    free, chosen = segs.sites.copy(), np.full(len(cells.x), -1, np.int64)
    for i in np.argsort(-cells.width, kind="mergesort"):
        best = np.inf
        for seg in range(len(segs.x)):
            sites = _sites_in(segs, cells, i, seg)
            if 0 <= sites <= free[seg] and _price(segs, cells, i, seg) < best:
                best, chosen[i] = _price(segs, cells, i, seg), seg
        if chosen[i] >= 0:
            free[chosen[i]] -= _sites_in(segs, cells, i, chosen[i])
    return make_room(segs, cells, chosen)


@njit(cache=True)
def fullest(segs: Segments, cells: Cells) -> np.ndarray:
    """(n,) a segment for each cell or -1: segments one by one, the shortest first, each filled as full as the cells left can fill it,
    with wide ones before narrow ones; the others by `make_room`. Blind to distance but for which cell of a width is taken.

    The minimum bin slack heuristic (Gupta and Ho, "A new heuristic algorithm for the one-dimensional bin-packing problem", 1999), its
    search replaced by a table over widths and sums."""
    chosen = np.full(len(cells.x), -1, np.int64)
    for seg in np.argsort(segs.sites, kind="mergesort"):
        left = np.array(
            [i for i in range(len(chosen)) if chosen[i] < 0 and _sites_in(segs, cells, i, seg) > 0]
        )
        if len(left):
            sites = np.array([_sites_in(segs, cells, i, seg) for i in left])
            widths = np.unique(sites)[::-1]
            taken = _fill(widths, np.array([(sites == w).sum() for w in widths]), segs.sites[seg])
            prices = np.array([_price(segs, cells, i, seg) for i in left])
            for i in np.argsort(prices, kind="mergesort"):
                kind = np.searchsorted(-widths, -sites[i])
                if taken[kind] > 0:
                    taken[kind] -= 1
                    chosen[left[i]] = seg
    return make_room(segs, cells, chosen)


@njit(cache=True)
def _fill(widths: np.ndarray, counts: np.ndarray, room: int) -> np.ndarray:
    """How many of each width, the widest first, fill most of the room; of the narrow ones no more than they must."""
    used = np.full((len(widths), room + 1), -1, np.int64)
    for k in range(len(widths)):
        for total in range(room + 1):
            if total == 0 or (k > 0 and used[k - 1, total] >= 0):
                used[k, total] = 0
            elif total >= widths[k] and 0 <= used[k, total - widths[k]] < counts[k]:
                used[k, total] = used[k, total - widths[k]] + 1
    taken, total = np.zeros(len(widths), np.int64), room
    while used[-1, total] < 0:
        total -= 1
    for k in range(len(widths) - 1, -1, -1):
        taken[k] = used[k, total]
        total -= taken[k] * widths[k]
    return taken


@njit(cache=True)
def _loads(segs: Segments, cells: int) -> Loads:
    start, near = _neighbours(segs)
    segments, none = len(segs.x), np.full((3, cells), -1, np.int64)
    return Loads(
        np.zeros(segments, np.int64), np.full(segments, -1, np.int64), none[0], none[1], none[2], start, near
    )


@njit(cache=True)
def _neighbours(segs: Segments) -> tuple[np.ndarray, np.ndarray]:
    """Left, right, and on the levels above and below those that overlap and the next on either side."""
    start, near = np.zeros(len(segs.x) + 1, np.int64), [0 for _ in range(0)]
    right = segs.x + segs.pitch * segs.sites
    levels = len(segs.level_y)
    for level in range(levels):
        for seg in range(segs.level_start[level], segs.level_start[level + 1]):
            for beside in range(
                max(seg - 1, segs.level_start[level]), min(seg + 2, segs.level_start[level + 1])
            ):
                if beside != seg:
                    near.append(beside)
            for other in range(max(level - 1, 0), min(level + 2, levels)):
                s, e = segs.level_start[other], segs.level_start[other + 1]
                low = s + np.searchsorted(right[s:e], segs.x[seg], side="right")
                high = s + np.searchsorted(segs.x[s:e], right[seg])
                for overlapping in range(max(low - 1, s), min(high + 1, e) if other != level else s):
                    near.append(overlapping)
            start[seg + 1] = len(near)
    return start, np.array(near)


@njit(cache=True)
def _put(segs: Segments, cells: Cells, loads: Loads, i: int, seg: int) -> None:
    old = loads.first[seg]
    loads.after[i], loads.before[i], loads.home[i] = old, -1, seg
    if old >= 0:
        loads.before[old] = i
    loads.first[seg] = i
    loads.load[seg] += _sites_in(segs, cells, i, seg)


@njit(cache=True)
def _take(segs: Segments, cells: Cells, loads: Loads, i: int) -> None:
    seg, after, before = loads.home[i], loads.after[i], loads.before[i]
    if before >= 0:
        loads.after[before] = after
    else:
        loads.first[seg] = after
    if after >= 0:
        loads.before[after] = before
    loads.load[seg] -= _sites_in(segs, cells, i, seg)
    loads.home[i] = -1


@njit(cache=True)
def _sites_in(segs: Segments, cells: Cells, i: int, seg: int) -> int:
    """Sites of the segment that the cell takes; -1 where even the empty segment would not do."""
    sites = whole(cells.width[i], segs.pitch[seg])
    return sites if cells.height[i] <= segs.room[seg] * (1 + ALMOST) and sites <= segs.sites[seg] else -1


@njit(cache=True)
def _price(segs: Segments, cells: Cells, i: int, seg: int) -> float:
    """Weighted square of the cell's distance to the segment."""
    right = segs.x[seg] + segs.pitch[seg] * segs.sites[seg]
    dx = max(segs.x[seg] - cells.x[i], cells.x[i] + cells.width[i] - right, 0.0)
    return float(cells.weight[i] * (dx**2 + (cells.y[i] - segs.y[seg]) ** 2))


@njit(cache=True)
def _fit_in(segs: Segments, cells: Cells, loads: Loads, i: int, tight: bool) -> bool:
    """One cell, by the cheapest path; says whether there is one."""
    segments = len(segs.x)
    tree = Tree(
        np.zeros(segments, np.bool_),
        np.full(segments, -1, np.int64),
        np.full(segments, np.inf),
        np.zeros(segments, np.int64),
        np.full((segments, MOST), -1, np.int64),
    )
    end = _search(segs, cells, loads, tree, i, tight)
    while end >= 0:
        for k in tree.handed[end]:
            if k >= 0:
                if loads.home[k] >= 0:
                    _take(segs, cells, loads, k)
                _put(segs, cells, loads, k, end)
        end = tree.parent[end]
    return bool(loads.home[i] >= 0)


@njit(cache=True)
def _search(segs: Segments, cells: Cells, loads: Loads, tree: Tree, i: int, tight: bool) -> int:
    """The segment with room at the end of the cheapest path, -1 where there is none."""
    heap = [(0.0, -1)]
    for seg in range(len(segs.x)):
        sites = _sites_in(segs, cells, i, seg)
        if sites >= 0:
            tree.cost[seg], tree.incoming[seg], tree.handed[seg, 0] = _price(segs, cells, i, seg), sites, i
            heapq.heappush(heap, (tree.cost[seg], seg))
    picked = np.full(MOST, -1, np.int64)
    while heap:
        here, u = heapq.heappop(heap)
        if u < 0 or tree.done[u] or here > tree.cost[u]:
            continue
        tree.done[u] = True
        excess = loads.load[u] + tree.incoming[u] - segs.sites[u]
        if excess <= 0:
            return u
        for v in loads.near[loads.near_start[u] : loads.near_start[u + 1]]:
            if not tree.done[v]:
                price, sites = _pick(segs, cells, loads, u, v, excess, tight, picked)
                if sites > 0 and here + price < tree.cost[v]:
                    tree.cost[v], tree.parent[v], tree.incoming[v] = here + price, u, sites
                    tree.handed[v] = picked
                    heapq.heappush(heap, (here + price, v))
    return -1


@njit(cache=True)
def _pick(
    segs: Segments, cells: Cells, loads: Loads, u: int, v: int, excess: int, tight: bool, picked: np.ndarray
) -> tuple[float, int]:
    """Cells of u that v would take to free `excess` sites of u: their cost, not below zero, and sites in v; no sites where they do not suffice.

    Those that cost least for each site that is needed; where `tight`, those that take least beyond it."""
    picked[:] = -1
    total, need, sites = 0.0, excess, 0
    for n in range(MOST):
        best, which = np.inf, -1
        i = loads.first[u]
        while i >= 0:
            there = _sites_in(segs, cells, i, v)
            if there > 0:
                useful = min(_sites_in(segs, cells, i, u), need)
                rise = _price(segs, cells, i, v) - _price(segs, cells, i, u)
                rate = (there - useful if tight else rise) / max(useful, 1)
                if rate < best and not (picked[:n] == i).any():
                    best, which = rate, i
            i = loads.after[i]
        if which < 0:
            return 0.0, 0
        picked[n] = which
        total += _price(segs, cells, which, v) - _price(segs, cells, which, u)
        sites += _sites_in(segs, cells, which, v)
        need -= _sites_in(segs, cells, which, u)
        if need <= 0:
            return max(total, 0.0), sites
    return 0.0, 0
