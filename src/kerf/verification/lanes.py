"""Simulation of many runs at once: one bit of a 64-bit word is one lane, and one AND serves all lanes.

Values are arrays (nodes, words) of uint64; lane k is bit k % 64 of word k // 64. Numpy by levels of the graph, for small graphs;
`kerf.verification.compiled` does the same in C.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from kerf.verification.graph import FREE, Graph, Node

ALL = np.uint64(0xFFFFFFFFFFFFFFFF)
Planes = (
    np.ndarray
)  # (bits, words) uint64: the lanes' values of a word, one row a bit, least significant first


class Lanes:
    """A simulator of `graph` with 64 * `words` lanes. `evaluate` computes a cycle, `clock` goes to the next.

    Before the first cycle latches hold `initial` (node -> 0, 1 or FREE; the graph's own where none is given); free ones hold 0 until `set_latch`.
    """

    def __init__(self, graph: Graph, words: int = 1, initial: Mapping[int, int] | None = None) -> None:
        self.graph, self.words = graph, words
        self.values = np.zeros((len(graph), words), np.uint64)
        self._levels = _levels(graph)
        self._latch = np.array(graph.latches, np.int64)
        source = np.array([graph.left[n] for n in graph.latches], np.int64)
        self._next, self._next_mask = source >> 1, _masks(source)
        self.restart(initial)

    def restart(self, initial: Mapping[int, int] | None = None) -> None:
        """Back to the initial state."""
        start = initial or {n: self.graph.right[n] for n in self.graph.latches}
        self.values[self._latch] = 0
        ones = [n for n in self.graph.latches if start[n] == 1]
        self.values[ones] = ALL

    def set_word(self, name: str, value: int | Planes) -> None:
        """Drive an input word: a number for all lanes, or planes (bits, words)."""
        for index, bit in enumerate(self.graph.signals[name].bits):
            self.values[bit >> 1] = (
                (ALL if value >> index & 1 else 0) if isinstance(value, int) else value[index]
            )

    def set_node(self, node: int, value: int | np.ndarray) -> None:
        """An input or a latch: 0 or 1 for all lanes, or (words,) uint64."""
        self.values[node] = (ALL if value else 0) if isinstance(value, int) else value

    def evaluate(self) -> None:
        values = self.values
        for out, a, a_mask, b, b_mask in self._levels:
            values[out] = (values[a] ^ a_mask) & (values[b] ^ b_mask)

    def clock(self) -> None:
        self.values[self._latch] = self.values[self._next] ^ self._next_mask

    def literal(self, literal: int) -> np.ndarray:
        """(words,) uint64: the lanes' values of a literal."""
        row = self.values[literal >> 1]
        return row ^ ALL if literal & 1 else row

    def planes(self, bits: Sequence[int] | np.ndarray) -> Planes:
        """(bits, words): the lanes' values of a word given by its literals."""
        literals = np.array(bits, np.int64)
        return self.values[literals >> 1] ^ _masks(literals)

    def run(self, inputs: Sequence[int], stimulus: np.ndarray, watch: Sequence[int] | np.ndarray, *, keep: bool = False,
            expected: np.ndarray | None = None) -> np.ndarray:  # fmt: skip
        """Run from the present state for as many cycles as `stimulus` has: (cycles, inputs, words) uint64, or (cycles, inputs) words that serve
        all lanes; `inputs` are nodes, `watch` literals. The watched planes of every cycle, (cycles, watch, words), with `keep`; else (watch, words),
        or-ed over the cycles. With `expected`, (cycles, watch) of 0, 1 or 2 (anything): where they differ from it."""
        drive, ignored = np.array(inputs, np.int64), np.uint64(0)
        rows = np.zeros((len(stimulus) if keep else 1, len(watch), self.words), np.uint64)
        for t, cycle in enumerate(stimulus):
            self.values[drive] = cycle if cycle.ndim == 2 else cycle[:, None]
            self.evaluate()
            seen = self.planes(watch)
            if expected is not None:
                row = expected[t][:, None]
                seen = np.where(row == 2, ignored, seen ^ np.where(row == 1, ALL, ignored))
            rows[t if keep else 0] |= seen
            self.clock()
        return rows if keep else rows[0]

    def word(self, name: str, lane: int = 0) -> int:
        """A signal's value in one lane."""
        rows = self.planes(self.graph.signals[name].bits)[:, lane >> 6] >> np.uint64(lane & 63)
        return sum(int(b & np.uint64(1)) << i for i, b in enumerate(rows))


def _masks(literals: np.ndarray) -> np.ndarray:
    return (literals & 1).astype(np.uint64)[:, None] * ALL


def _levels(graph: Graph) -> list[tuple[np.ndarray, ...]]:
    """ANDs grouped by depth: those of one level depend on earlier levels only."""
    depth = np.zeros(len(graph), np.int32)
    kind, left, right = graph.kind, graph.left, graph.right
    by_depth: dict[int, list[int]] = {}
    for node in range(1, len(graph)):
        if kind[node] == Node.AND:
            depth[node] = d = 1 + max(depth[left[node] >> 1], depth[right[node] >> 1])
            by_depth.setdefault(int(d), []).append(node)
    rows: list[tuple[np.ndarray, ...]] = []
    for _, nodes in sorted(by_depth.items()):
        a = np.array([left[n] for n in nodes], np.int64)
        b = np.array([right[n] for n in nodes], np.int64)
        rows.append((np.array(nodes, np.int64), a >> 1, _masks(a), b >> 1, _masks(b)))
    return rows


def planes_of(values: Iterable[int], width: int, words: int) -> Planes:
    """Planes from one number per lane; lanes without one get 0."""
    row = list(values)
    bits = np.zeros((width, words * 64), np.uint8)
    for lane, value in enumerate(row):
        for i in range(width):
            bits[i, lane] = value >> i & 1
    return np.packbits(bits, axis=1, bitorder="little").view(np.uint64)


def lanes_of(planes: Planes) -> np.ndarray:
    """(lanes, bits) uint8 from planes (bits, words)."""
    return np.unpackbits(np.ascontiguousarray(planes).view(np.uint8), axis=1, bitorder="little").T


def random_planes(rng: np.random.Generator, width: int, words: int) -> Planes:
    """Independent fair bits."""
    return rng.integers(0, 2**64, (width, words), dtype=np.uint64)


def free_latches(graph: Graph, initial: Mapping[int, int]) -> list[int]:
    return [n for n in graph.latches if initial[n] == FREE]
