"""What annealing proposes, compiled by numba.

The proposals are those that the 2026 macro placement challenge's open solver (aaholmes/macro-placer) found to pay, and hard macros' own: shifts
of every scale, a place beside a pin of one of the cell's nets, one grid cell along an axis (which moves one end of its nets' routes), out
of a full grid cell into an emptier one near it, swaps, edges brought to grid lines or to another macro's edge, and flips.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kerf.placement.orient import TURNED
from kerf.placement.proxy_search.board import Board, lean

KINDS = 10
SHIFT, BESIDE, STEP, SWAP, COOL, SLIDE, SNAP, TRADE, FLIP, ABUT = range(KINDS)


class Chain(NamedTuple):
    """One chain's own: rng (1,) uint64; saved_* copies of what a refused move restores; lengths (2, most pins on a cell); proposal (2, 3) of
    x, y, turn and cells (2,); tally (KINDS, 3): tried, accepted, gained; shares (KINDS,) of the proposals, cumulative; load (2G,);
    weights (3,) of density, congestion and evenness."""

    rng: np.ndarray
    saved_full: np.ndarray
    saved_raw: np.ndarray
    saved_block: np.ndarray
    lengths: np.ndarray
    cells: np.ndarray
    proposal: np.ndarray
    before: np.ndarray
    tally: np.ndarray
    shares: np.ndarray
    load: np.ndarray
    weights: np.ndarray


def chain(b: Board, seed: int) -> Chain:
    most = int(np.diff(b.cell_start).max(initial=0)) + 1
    raw = b.raw.copy()
    return Chain(
        rng=np.random.default_rng(seed).integers(1, 2**63, 1).astype(np.uint64),
        saved_full=b.full.copy(),
        saved_raw=raw,
        saved_block=raw if b.block is b.raw else b.block.copy(),
        lengths=np.zeros((2, most)),
        cells=np.zeros(2, np.int64),
        proposal=np.zeros((2, 3)),
        before=np.zeros((2, 3)),
        tally=np.zeros((KINDS, 3)),
        shares=np.cumsum(_shares(b)),
        load=np.zeros(len(b.raw)),
        weights=np.array([0.5, 0.5, 0.0]),
    )


def _shares(b: Board) -> np.ndarray:
    soft = np.array([0.35, 0.25, 0.2, 0.05, 0.15, 0, 0, 0, 0, 0]) * (len(b.soft) > 0)
    hard = np.array([0, 0, 0, 0, 0, 0.4, 0.3, 0.1, 0.05, 0.15]) * (len(b.hard) > 0)
    share = 0.25 if len(b.soft) else 1.0
    mixed = soft * (1 - share) + hard * share
    return mixed / max(mixed.sum(), 1e-300)


@lean
def uniform(rng: np.ndarray) -> float:
    """In [0, 1): xorshift64* (Vigna 2016), whose state a thread owns."""
    s = rng[0]
    s ^= s >> np.uint64(12)
    s ^= s << np.uint64(25)
    s ^= s >> np.uint64(27)
    rng[0] = s
    return float((s * np.uint64(2685821657736338717)) >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@lean
def _below(rng: np.ndarray, count: int) -> int:
    return int(uniform(rng) * count)


@lean
def _normal(rng: np.ndarray) -> float:
    return np.sqrt(-2.0 * np.log(1.0 - uniform(rng))) * np.cos(2.0 * np.pi * uniform(rng))


@lean
def propose(b: Board, c: Chain, kind: int, reach: float) -> int:
    """Fill in cells and proposal; the number of cells that move, 0 where the proposal is not allowed."""
    if kind <= COOL:
        cell = b.soft[_below(c.rng, len(b.soft))]
    else:
        cell = b.hard[_below(c.rng, len(b.hard))]
    if kind in (SWAP, TRADE):
        return _exchange(b, c, cell, b.soft if kind == SWAP else b.hard, kind == TRADE)
    if kind == COOL:
        cell = _crowded(b, c, cell)
    x, y, turn = b.x[cell], b.y[cell], b.turn[cell]
    if kind in (SHIFT, SLIDE):
        x, y = _shifted(b, c, x, y, reach)
    elif kind == BESIDE:
        x, y = _beside(b, c, cell)
    elif kind == STEP:
        x, y = _stepped(b, c, x, y)
    elif kind == COOL:
        x, y = _cooler(b, c, x, y, reach)
    elif kind == SNAP:
        x, y = _snapped(b, c, cell)
    elif kind == ABUT:
        x, y = _abutted(b, c, cell)
    elif kind == FLIP:
        turn = _below(c.rng, 8)
        if turn == b.turn[cell] or not b.orients[cell, turn]:
            return 0
    return 1 if _offer(b, c, 0, cell, x, y, turn) and (kind <= COOL or _clear(b, c, 0, -1)) else 0


@lean
def _offer(b: Board, c: Chain, k: int, cell: int, x: float, y: float, turn: int) -> bool:
    """Propose a place for a cell, moved into its box. False where it does not fit or stands on a keepout."""
    turned = TURNED[turn]
    w, h = (b.height[cell], b.width[cell]) if turned else (b.width[cell], b.height[cell])
    x = min(max(x, b.box[cell, 0] + w / 2), b.box[cell, 2] - w / 2)
    y = min(max(y, b.box[cell, 1] + h / 2), b.box[cell, 3] - h / 2)
    if x - w / 2 < b.box[cell, 0] - b.clear or y - h / 2 < b.box[cell, 1] - b.clear:
        return False
    for r in range(len(b.keepouts)):
        within = min(x + w / 2, b.keepouts[r, 2]) > max(x - w / 2, b.keepouts[r, 0])
        if within and min(y + h / 2, b.keepouts[r, 3]) > max(y - h / 2, b.keepouts[r, 1]):
            return False
    c.cells[k] = cell
    c.proposal[k, 0], c.proposal[k, 1], c.proposal[k, 2] = x, y, turn
    return True


@lean
def _clear(b: Board, c: Chain, k: int, other: int) -> bool:
    """Is a hard macro's proposed place free of walls and of the other hard macros (but for the cell `other`)?"""
    cell = c.cells[k]
    turned = TURNED[int(c.proposal[k, 2])]
    w, h = (b.height[cell], b.width[cell]) if turned else (b.width[cell], b.height[cell])
    x, y, halo = c.proposal[k, 0], c.proposal[k, 1], b.halo[cell]
    for near in b.hard:
        gap = max(halo, b.halo[near]) + b.clear
        turned = TURNED[b.turn[near]]
        w2, h2 = (b.height[near], b.width[near]) if turned else (b.width[near], b.height[near])
        close = abs(x - b.x[near]) < (w + w2) / 2 + gap and abs(y - b.y[near]) < (h + h2) / 2 + gap
        if close and near != cell and near != other:
            return False
    for k in range(len(b.walls)):
        gap = max(halo if k < len(b.walls) - len(b.keepouts) else 0.0, b.wall_halo[k])
        close = x + w / 2 + gap > b.walls[k, 0] and x - w / 2 - gap < b.walls[k, 2]
        if close and y + h / 2 + gap > b.walls[k, 1] and y - h / 2 - gap < b.walls[k, 3]:
            return False
    return True


@lean
def _exchange(b: Board, c: Chain, cell: int, among: np.ndarray, hard: bool) -> int:
    """Two cells trade centres. Hard macros of different sizes only where both are clear afterwards."""
    other = among[_below(c.rng, len(among))]
    if other == cell:
        return 0
    if not _offer(b, c, 0, cell, b.x[other], b.y[other], b.turn[cell]):
        return 0
    if not _offer(b, c, 1, other, b.x[cell], b.y[cell], b.turn[other]):
        return 0
    if hard and (not (_clear(b, c, 0, other) and _clear(b, c, 1, cell)) or _collide(b, c)):
        return 0
    return 2


@lean
def _collide(b: Board, c: Chain) -> bool:
    """Do the two proposed places overlap?"""
    one, two = c.cells[0], c.cells[1]
    a, z = TURNED[b.turn[one]], TURNED[b.turn[two]]
    w = (b.height[one] if a else b.width[one]) + (b.height[two] if z else b.width[two])
    h = (b.width[one] if a else b.height[one]) + (b.width[two] if z else b.height[two])
    gap = max(b.halo[one], b.halo[two]) + b.clear
    dx, dy = abs(c.proposal[0, 0] - c.proposal[1, 0]), abs(c.proposal[0, 1] - c.proposal[1, 1])
    return dx < w / 2 + gap and dy < h / 2 + gap


@lean
def _scale(c: Chain, least: float, most: float) -> float:
    """A length between the two, evenly in its logarithm."""
    return least * (max(most, least) / least) ** uniform(c.rng)


@lean
def _shifted(b: Board, c: Chain, x: float, y: float, reach: float) -> tuple[float, float]:
    far = _scale(c, 0.02 * min(b.size[0], b.size[1]), reach)
    way = _below(c.rng, 3)
    if way != 0:
        x += far * _normal(c.rng)
    if way != 1:
        y += far * _normal(c.rng)
    return x, y


@lean
def _beside(b: Board, c: Chain, cell: int) -> tuple[float, float]:
    first, last = b.cell_start[cell], b.cell_start[cell + 1]
    if first == last:
        return b.x[cell], b.y[cell]
    link = first + _below(c.rng, last - first)
    pin = b.links[link, 2] + _below(c.rng, b.links[link, 3] - b.links[link, 2])
    far = _scale(c, 0.05, 1.5)
    return b.at[pin, 0] + far * b.size[0] * _normal(c.rng), b.at[pin, 1] + far * b.size[1] * _normal(c.rng)


@lean
def _stepped(b: Board, c: Chain, x: float, y: float) -> tuple[float, float]:
    way = _below(c.rng, 4)
    if way < 2:
        return x + (2 * way - 1) * b.size[0], y
    return x, y + (2 * way - 5) * b.size[1]


@lean
def _place(b: Board, x: float, y: float) -> int:
    column = min(max(int(x / b.size[0]), 0), b.shape[0] - 1)
    return min(max(int(y / b.size[1]), 0), b.shape[1] - 1) * b.shape[0] + column


@lean
def _crowded(b: Board, c: Chain, cell: int) -> int:
    """A soft macro in a grid cell that counts in the density, if a few tries find one."""
    for _ in range(8):
        if b.full[_place(b, b.x[cell], b.y[cell])] >= b.sums[1]:
            break
        cell = b.soft[_below(c.rng, len(b.soft))]
    return cell


@lean
def _cooler(b: Board, c: Chain, x: float, y: float, reach: float) -> tuple[float, float]:
    """The emptiest of a few places within reach."""
    far = _scale(c, min(b.size[0], b.size[1]), reach)
    best, best_x, best_y = np.inf, x, y
    for _ in range(4):
        tx, ty = x + far * _normal(c.rng), y + far * _normal(c.rng)
        crowd = b.full[_place(b, tx, ty)]
        if crowd < best:
            best, best_x, best_y = crowd, tx, ty
    return best_x, best_y


@lean
def _snapped(b: Board, c: Chain, cell: int) -> tuple[float, float]:
    """Left edge, centre or right edge to a grid line near it, in one or both directions."""
    turned = TURNED[b.turn[cell]]
    w, h = (b.height[cell], b.width[cell]) if turned else (b.width[cell], b.height[cell])
    way = _below(c.rng, 3)
    x, y = b.x[cell], b.y[cell]
    if way != 0:
        x = _aligned(c, x, w, b.size[0], b.clear)
    if way != 1:
        y = _aligned(c, y, h, b.size[1], b.clear)
    return x, y


@lean
def _aligned(c: Chain, at: float, size: float, pitch: float, clear: float) -> float:
    side = 0.5 * (_below(c.rng, 3) - 1)
    line = np.floor((at + side * size) / pitch + 0.5) + _below(c.rng, 3) - 1
    return line * pitch - side * (size + 2 * clear)


@lean
def _abutted(b: Board, c: Chain, cell: int) -> tuple[float, float]:
    """Against a side of another hard macro, and maybe flush with it."""
    other = b.hard[_below(c.rng, len(b.hard))]
    turned, turned2 = TURNED[b.turn[cell]], TURNED[b.turn[other]]
    w, h = (b.height[cell], b.width[cell]) if turned else (b.width[cell], b.height[cell])
    w2, h2 = (b.height[other], b.width[other]) if turned2 else (b.width[other], b.height[other])
    gap = max(b.halo[cell], b.halo[other]) + b.clear * 1.001
    way, flush = _below(c.rng, 4), _below(c.rng, 2) == 0
    sign = 2 * (way % 2) - 1
    if way < 2:
        return b.x[other] + sign * ((w + w2) / 2 + gap), b.y[other] if flush else b.y[cell]
    return b.x[other] if flush else b.x[cell], b.y[other] + sign * ((h + h2) / 2 + gap)
