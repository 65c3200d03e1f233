"""Simulated annealing of a board, compiled by numba."""

from __future__ import annotations

import numpy as np

from kerf.placement.proxy_search.board import Board, lean
from kerf.placement.proxy_search.cost import duplicate, terms
from kerf.placement.proxy_search.moves import move, put_all
from kerf.placement.proxy_search.proposals import KINDS, Chain, propose, uniform


@lean
def value(b: Board, c: Chain) -> float:
    wirelength, density, congestion = terms(b, c.load)
    total = wirelength + c.weights[0] * density + c.weights[1] * congestion
    if c.weights[2] > 0:
        total += c.weights[2] * _unevenness(b.full, b.raw)
    return total


@lean
def _unevenness(full: np.ndarray, raw: np.ndarray) -> float:
    total, other = 0.0, 0.0
    for v in full:
        total += v * v
    for v in raw:
        other += v * v
    return 0.5 * total / len(full) + other / len(raw)


@lean
def anneal(b: Board, c: Chain, hot: float, cold: float, reach: float, tries: int) -> float:
    """`tries` proposals while the temperature falls geometrically from `hot` to `cold`; shifts are up to `reach` long. Returns the cost."""
    cost = value(b, c)
    duplicate(b.full, c.saved_full)
    duplicate(b.raw, c.saved_raw)
    duplicate(b.block, c.saved_block)
    cooling = (cold / hot) ** (1.0 / max(tries, 1))
    heat = hot
    for _ in range(tries):
        heat *= cooling
        kind = _kind(c)
        count = propose(b, c, kind, reach)
        if count == 0:
            continue
        c.tally[kind, 0] += 1
        total, t1, t2, jam = b.sums[0], b.sums[1], b.sums[2], b.sums[3]
        _apply(b, c, count)
        now = value(b, c)
        if now - cost <= -heat * np.log(1.0 - uniform(c.rng)):
            c.tally[kind, 1] += 1
            c.tally[kind, 2] += max(cost - now, 0.0)
            cost = now
            duplicate(b.full, c.saved_full)
            duplicate(b.raw, c.saved_raw)
            if b.shape[2] > 0:
                duplicate(b.block, c.saved_block)
        else:
            _revert(b, c, count)
            duplicate(c.saved_full, b.full)
            duplicate(c.saved_raw, b.raw)
            if b.shape[2] > 0:
                duplicate(c.saved_block, b.block)
            b.sums[0], b.sums[1], b.sums[2], b.sums[3] = total, t1, t2, jam
    return cost


@lean
def _kind(c: Chain) -> int:
    u = uniform(c.rng)
    for kind in range(KINDS - 1):
        if u < c.shares[kind]:
            return kind
    return KINDS - 1


@lean
def _apply(b: Board, c: Chain, count: int) -> None:
    for k in range(count):
        cell = c.cells[k]
        c.before[k, 0], c.before[k, 1], c.before[k, 2] = b.x[cell], b.y[cell], b.turn[cell]
        first = b.cell_start[cell]
        for i in range(first, b.cell_start[cell + 1]):
            c.lengths[k, i - first] = b.length[b.links[i, 1]]
        move(b, cell, c.proposal[k, 0], c.proposal[k, 1], int(c.proposal[k, 2]))


@lean
def _revert(b: Board, c: Chain, count: int) -> None:
    for k in range(count - 1, -1, -1):
        cell = c.cells[k]
        b.x[cell], b.y[cell], b.turn[cell] = c.before[k, 0], c.before[k, 1], int(c.before[k, 2])
        put_all(b, cell)
        first = b.cell_start[cell]
        for i in range(first, b.cell_start[cell + 1]):
            b.length[b.links[i, 1]] = c.lengths[k, i - first]
