"""Which unknown value, or register of another name, of one design is which of another: those that are used alike, whatever order synthesis left them in.

Nodes are coloured by their names and, round by round, by the colours of what they read and of what reads them (Weisfeiler and Leman, 1968). A change of
the source changes the colours of a neighbourhood that grows with each round, so the finest colours pair first and coarser ones what is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from hashlib import blake2b

import numpy as np

from kerf.verification.graph import Graph, Node

ROUNDS = 8
ODD = np.array([0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0xD6E8FEB86659FD93], np.uint64)


def used_alike(gold: Graph, gate: Graph, mine: Sequence[int], theirs: Sequence[int]) -> dict[int, int]:
    """Nodes of `gold` among `mine` -> the ones of `gate` among `theirs` that play their part; the rest in their order, where they are as many.
    A guess: whoever uses it proves what follows."""
    names = (
        gold.signals.keys() & gate.signals.keys()
    )  # what only one of them has would set all around it apart
    ours, others = _colours(gold, names), _colours(gate, names)
    left, right, found = list(mine), list(theirs), dict[int, int]()
    for a, b in zip(reversed(ours), reversed(others)):
        found |= _paired(_groups(a, left), _groups(b, right))
        taken = set(found.values())
        left, right = [n for n in left if n not in found], [n for n in right if n not in taken]
    return found | (dict(zip(left, right)) if len(left) == len(right) else {})


def _paired(ours: Mapping[int, list[int]], others: Mapping[int, list[int]]) -> dict[int, int]:
    pairs = [(row, others.get(colour, [])) for colour, row in ours.items()]
    return {m: t for row, other in pairs if len(row) == len(other) for m, t in zip(row, other)}


def _groups(colour: np.ndarray, nodes: Sequence[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for node in nodes:
        found.setdefault(int(colour[node]), []).append(node)
    return found


def _colours(graph: Graph, names: Set[str]) -> list[np.ndarray]:
    """(nodes,) uint64 after each round, the coarsest first."""
    kind, left, right = (np.array(row, np.int64) for row in (graph.kind, graph.left, graph.right))
    ands, latches = np.flatnonzero(kind == Node.AND), np.flatnonzero(kind == Node.LATCH)
    reader = np.concatenate([ands, ands, latches])
    read = np.concatenate([left[ands], right[ands], left[latches]])
    edge = (read & 1).astype(np.uint64) + 2 * (kind[reader] == Node.LATCH).astype(np.uint64)
    colour, rows = _named(graph, names), []
    for _ in range(ROUNDS):
        below, above = np.zeros_like(colour), np.zeros_like(colour)
        np.add.at(below, reader, _mixed(colour[read >> 1] + edge * ODD[0]))
        np.add.at(above, read >> 1, _mixed(colour[reader] + edge * ODD[1]))
        colour = _mixed(colour + _mixed(below + ODD[2]) + _mixed(above + ODD[3]))
        rows.append(colour)
    return rows


def _named(graph: Graph, names: Set[str]) -> np.ndarray:
    colour = np.array(graph.kind, np.uint64)
    for name, signal in ((n, s) for n, s in graph.signals.items() if n in names):
        word = int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=7).digest(), "big")
        nodes = np.array(signal.bits, np.int64)
        np.add.at(colour, nodes >> 1, _mixed(word + np.arange(2, len(nodes) + 2, dtype=np.uint64) * ODD[0] + (nodes & 1).astype(np.uint64)))  # fmt: skip
    return colour


def _mixed(value: np.ndarray) -> np.ndarray:
    value = (value ^ value >> np.uint64(29)) * ODD[1]
    return np.asarray((value ^ value >> np.uint64(32)) * ODD[2])
