"""Stimulus that knows nothing of what it is to show: for claims that have to be contradicted, and for mutants that have to be noticed."""

from __future__ import annotations

import numpy as np

from kerf.verification.coverage.constants import mined
from kerf.verification.graph import FREE
from kerf.verification.lanes import lanes_of, random_planes
from kerf.verification.model import Model
from kerf.verification.trace import Trace

NAMED = 5  # bits of a word that may hold a number that the source names
WIDEST = 32


def stimulus(model: Model, cycles: int, words: int, seed: int) -> tuple[list[int], np.ndarray]:
    """Nodes, and (cycles, nodes, words): each lane with its own likelihood of a one on each bit; fair bits; words that stay a while; and in
    every fourth lane, in the low bits of wide words, numbers that the source names."""
    rng = np.random.default_rng(seed)
    graph = model.graph
    nodes = [b >> 1 for n in model.inputs for b in graph.signals[n].bits]
    nodes += [n for n in graph.inputs if n not in set(nodes) and n not in model.held]
    rows = np.empty((cycles, len(nodes), words), np.uint64)
    often, rare = (random_planes(rng, len(nodes), words) for _ in range(2))
    stays = random_planes(rng, 1, words) & random_planes(rng, 1, words)
    for t in range(cycles):
        a, b, c = (random_planes(rng, len(nodes), words) for _ in range(3))
        rows[t] = (often & (a | b | c)) | (~often & rare & (a & b & c)) | (~often & ~rare & a)
    _put_constants(model, rows, rng)
    for t in range(1, cycles):
        hold = stays & random_planes(rng, 1, words)
        rows[t] = (hold & rows[t - 1]) | (~hold & rows[t])
    return nodes, rows


def _put_constants(model: Model, rows: np.ndarray, rng: np.random.Generator) -> None:
    cycles, _, words = rows.shape
    known = np.array([c for c in mined(model.design) if 0 < c < 1 << WIDEST], np.uint64)
    at, lanes = 0, 64 * words
    for name in model.inputs:
        width = len(model.graph.signals[name].bits)
        if width >= NAMED and len(known):
            chosen = known[rng.integers(0, len(known), (cycles, lanes))]
            special = np.broadcast_to(random_planes(rng, 1, words) & random_planes(rng, 1, words), (cycles, words))  # fmt: skip
            for bit in range(min(width, WIDEST)):
                one = np.uint64(1)
                below = _bits_as_planes(chosen >> np.uint64(bit) != 0) & special
                value = _bits_as_planes(chosen >> np.uint64(bit) & one)
                rows[:, at + bit] = (rows[:, at + bit] & ~below) | (value & below)
        at += width


def _bits_as_planes(bits: np.ndarray) -> np.ndarray:
    """(cycles, lanes) to (cycles, words)."""
    return np.packbits(bits.astype(bool), axis=1, bitorder="little").view(np.uint64)


def random_runs(model: Model, count: int, cycles: int, seed: int = 0) -> list[Trace]:
    """Lanes of `stimulus`, with any start for registers that no reset reaches."""
    nodes, rows = stimulus(model, cycles, -(-count // 64), seed)
    lanes = np.stack([lanes_of(cycle)[:count] for cycle in rows])  # (cycles, count, nodes)
    place = {n: i for i, n in enumerate(nodes)}
    words = {n: [place[b >> 1] for b in model.graph.signals[n].bits] for n in model.inputs}
    unknown = [n for n, v in model.initial.items() if v == FREE]
    starts = np.random.default_rng(seed).integers(0, 2, (count, len(unknown)))
    return [
        Trace(
            tuple({n: sum(int(row[i]) << k for k, i in enumerate(at)) for n, at in words.items()} for row in lanes[:, t]),
            {n: int(v) for n, v in zip(unknown, starts[t])},
        )
        for t in range(count)
    ]  # fmt: skip
