"""Claims that the others say already, by logic alone: words are taken to be free, so that a claim that only restates how the design computes a word is kept."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence

from kerf.verification.graph import Graph
from kerf.verification.mining.claims import Claim, View
from kerf.verification.sat import Unrolling


def independent(claims: Sequence[Claim], widths: Mapping[str, int], deadline: float = math.inf) -> list[int]:
    """Indices of claims, the best of which come first, such that all the others follow from them, and none of these from the rest; what is said of
    every cycle stays though longer claims together say it too. Those not looked at before `deadline` (of `time.monotonic`) are left out."""
    logic = _Logic(claims, widths)
    try:
        kept: list[int] = []
        for index in range(len(claims)):
            if time.monotonic() > deadline:
                break
            if not logic.follows(index, kept):
                kept.append(index)
        for index in [k for k in reversed(kept) if claims[k].given]:
            rest = [k for k in kept if k != index]
            if time.monotonic() > deadline:
                break
            if logic.follows(index, rest):
                kept = rest
        return kept
    finally:
        logic.close()


class _Logic:
    """Two cycles of free words."""

    def __init__(self, claims: Sequence[Claim], widths: Mapping[str, int]) -> None:
        graph = Graph()
        view = View(graph, {name: [graph.add_input() for _ in range(w)] for name, w in widths.items()})
        bad = [c.violated(view) for c in claims]
        self._unrolling = Unrolling(graph, None)
        self._switch = [self._unrolling.variable() for _ in claims]
        self._bad = [self._unrolling.at(b, 1) for b in bad]
        for claim, literal, switch in zip(claims, bad, self._switch):
            for frame in (1,) if claim.later else (0, 1):
                self._unrolling.solver.add_clause([-switch, -self._unrolling.at(literal, frame)])

    def follows(self, index: int, others: Sequence[int]) -> bool:
        return not self._unrolling.solve([self._bad[index], *(self._switch[k] for k in others)])

    def close(self) -> None:
        self._unrolling.close()
