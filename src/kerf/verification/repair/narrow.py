"""Less to look at: a graph with some inputs held, and the changes that can make a difference to a failing output at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kerf.verification.graph import FALSE, Graph, Node, Signal
from kerf.verification.lanes import ALL
from kerf.verification.repair.play import Frame


def specialized(graph: Graph, values: Mapping[int, int]) -> Graph:
    """`graph` with the inputs of `values` (node -> 0 or 1) held and what follows from them folded. Other inputs and all latches keep their order; of signals
    outputs stay, and those that inputs drive."""
    new = Graph()
    literal = {0: FALSE}
    for node in graph.inputs:
        literal[node] = values[node] if node in values else new.add_input()
    for node in graph.latches:
        literal[node] = new.add_latch(graph.right[node])
    roots = [b for s in graph.signals.values() if s.kind == "output" for b in s.bits]
    kind, left, right = graph.kind, graph.left, graph.right
    for node in graph.cone([*roots, *(2 * n for n in graph.latches)]):
        if kind[node] == Node.AND:
            a, b = left[node], right[node]
            literal[node] = new.conjunction(literal[a >> 1] ^ (a & 1), literal[b >> 1] ^ (b & 1))
    for node in graph.latches:
        new.set_next(literal[node], literal[left[node] >> 1] ^ (left[node] & 1))
    for name, s in graph.signals.items():
        driven = all(kind[b >> 1] == Node.INPUT for b in s.bits)
        if s.kind == "output" or (driven and not any(b >> 1 in values for b in s.bits)):
            bits = tuple(literal[b >> 1] ^ (b & 1) for b in s.bits)
            new.signals[name] = Signal(name, bits, s.kind, s.source, s.signed)
    return new


def relevant(graph: Graph, state: Mapping[int, int], frames: Sequence[tuple[Frame, Mapping[int, int]]], alone: Sequence[tuple[Sequence[int], Sequence[int]]]) -> np.ndarray:  # fmt: skip
    """(len(alone),) bool: whether a change could, with some values of its holes, alter an expected output that fails in the last of `frames` (each with the
    values of its other inputs), from `state` (latch -> 0 or 1). `alone`: the input nodes of each change's enable, and of its holes. By three-valued simulation,
    one lane a change: true may be wrong, false is not."""
    words = (len(alone) + 63) >> 6
    one, zero = (np.zeros((len(graph), words), np.uint64) for _ in range(2))  # what a node may be
    zero[:] = ALL
    for lane, (enable, holes) in enumerate(alone):
        bit = np.uint64(1 << (lane & 63))
        for node in enable:
            one[node, lane >> 6] |= bit
            zero[node, lane >> 6] &= ~bit
        for node in holes:
            one[node, lane >> 6] |= bit
    latches = np.array(graph.latches, np.int64)
    start = np.array([state[n] for n in graph.latches], bool)
    one[latches[start]], zero[latches[start]] = ALL, 0
    levels = _levels(graph)
    source = np.array([graph.left[n] for n in graph.latches], np.int64)
    for frame, free in frames:
        for node, value in (*frame.known.items(), *free.items()):
            one[node], zero[node] = (ALL, 0) if value else (0, ALL)
        for out, a, ai, b, bi in levels:
            one[out] = _side(one, zero, a, ai) & _side(one, zero, b, bi)
            zero[out] = _side(zero, one, a, ai) | _side(zero, one, b, bi)
        seen = _altered(frame, one, zero)
        inverted = (source & 1).astype(bool)
        if frame.clocks:
            after = _side(one, zero, source >> 1, inverted), _side(zero, one, source >> 1, inverted)
            one[latches], zero[latches] = after
    bits = np.unpackbits(seen.view(np.uint8), bitorder="little")[: len(alone)]
    return bits.astype(bool)


def _side(plain: np.ndarray, other: np.ndarray, nodes: np.ndarray, inverted: np.ndarray) -> np.ndarray:
    return np.where(inverted[:, None], other[nodes], plain[nodes])


def _altered(frame: Frame, one: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """(words,) uint64: lanes in which every expected output may be as expected."""
    seen = np.full(one.shape[1], ALL, np.uint64)
    for bit, wanted in frame.expected:
        able = one if bool(wanted) != bool(bit & 1) else zero
        seen &= able[bit >> 1]
    return seen


def _levels(graph: Graph) -> list[tuple[np.ndarray, ...]]:
    """ANDs by depth: nodes, and node and inversion of both inputs."""
    depth = [0] * len(graph)
    rows: dict[int, list[int]] = {}
    kind, left, right = graph.kind, graph.left, graph.right
    for node in range(1, len(graph)):
        if kind[node] == Node.AND:
            depth[node] = 1 + max(depth[left[node] >> 1], depth[right[node] >> 1])
            rows.setdefault(depth[node], []).append(node)
    found: list[tuple[np.ndarray, ...]] = []
    for _, nodes in sorted(rows.items()):
        a = np.array([left[n] for n in nodes], np.int64)
        b = np.array([right[n] for n in nodes], np.int64)
        found.append((np.array(nodes, np.int64), a >> 1, (a & 1).astype(bool), b >> 1, (b & 1).astype(bool)))
    return found
