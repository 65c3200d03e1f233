"""One clock cycle of a graph with its latches cut, and latches that are assumed equal made one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from kerf.verification.graph import FALSE, Graph, Node
from kerf.verification.model import Model
from kerf.verification.sat import Unrolling

CHUNK = 1000  # conflicts between two looks at the clock


class Reduced:
    """`groups`: latch literals (and 0) that are equal, the one that stands for all first; `followers`: (is 1, is 0, value): two rails of a value
    that may be unknown, substituted where a register is named first and a clause where it is named again. `of` a literal of the model is its literal in `graph`."""

    def __init__(
        self, model: Model, groups: Sequence[Sequence[int]], followers: Sequence[tuple[int, int, int]]
    ) -> None:
        self.source, self.graph = model.graph, Graph()
        self.place: dict[int, int] = {0: FALSE}
        for node in self.source.inputs:
            held = model.held.get(node)
            self.place[node] = self.graph.add_input() if held is None else held
        self._place_latches(groups, followers)
        for node in range(1, len(self.source)):
            if self.source.kind[node] == Node.AND:
                a, b = self.of(self.source.left[node]), self.of(self.source.right[node])
                self.place[node] = self.graph.conjunction(a, b)
        self.solver = Unrolling(self.graph, None, solver="glucose4")
        for one, zero, value in followers:
            self._imply(one, value)
            self._imply(zero, value ^ 1)

    def _place_latches(
        self, groups: Sequence[Sequence[int]], followers: Sequence[tuple[int, int, int]]
    ) -> None:
        leader = {m >> 1: group[0] ^ (m & 1) for group in groups for m in group[1:]}
        rails = {r >> 1 for one, zero, _ in followers for r in (one, zero)}
        for node in self.source.latches:
            if node not in leader and node not in rails:
                self.place[node] = self.graph.add_input()
        for node, literal in leader.items():
            self.place[node] = self.of(literal)
        first: dict[int, tuple[int, int, int]] = {}
        for one, zero, value in followers:
            first.setdefault(one, (one, zero, value))
        for one, zero, value in first.values():
            known = self.graph.add_input()
            self.place[one >> 1] = self.graph.conjunction(known, self.of(value))
            self.place[zero >> 1] = self.graph.conjunction(known, self.of(value) ^ 1)

    def _imply(self, a: int, b: int) -> None:
        x, y = self.of(a), self.of(b)
        if self.graph.conjunction(x, y ^ 1) != FALSE:
            self.solver.solver.add_clause([-self.solver.at(x, 0), self.solver.at(y, 0)])

    def of(self, literal: int) -> int:
        return self.place[literal >> 1] ^ (literal & 1)

    def next(self, literal: int) -> int:
        """What a latch's literal is in the next cycle."""
        node = literal >> 1
        return self.of(self.source.left[node]) ^ (literal & 1) if node else literal

    def possible(self, literal: int, conflicts: int, deadline: float) -> bool | None:
        """Whether a literal of `graph` can be true; None when the solver gives up, after so many conflicts or at `deadline` (of `time.monotonic`)."""
        if literal <= 1:
            return bool(literal)
        solver, assumption = self.solver.solver, self.solver.at(literal, 0)
        for _ in range(0, conflicts, CHUNK):
            solver.conf_budget(CHUNK)
            found = solver.solve_limited(assumptions=[assumption])
            if found is not None or time.monotonic() > deadline:
                return found if found is None else bool(found)
        return None

    def example(self) -> dict[int, int]:
        """The inputs of `graph` for which the last answer was yes."""
        true = self.solver.values()
        return {n: self.solver.read(n, 0, true) for n in self.graph.inputs}

    def close(self) -> None:
        self.solver.close()


def values_of(graph: Graph, examples: Sequence[Mapping[int, int]]) -> list[int]:
    """For each node of a graph without latches its values in all examples (bit k: in the k-th)."""
    everything = (1 << len(examples)) - 1
    values = [0] * len(graph)
    for node in graph.inputs:
        values[node] = sum(example[node] << k for k, example in enumerate(examples))
    for node in range(1, len(graph)):
        if graph.kind[node] == Node.AND:
            a, b = graph.left[node], graph.right[node]
            x = values[a >> 1] ^ (everything if a & 1 else 0)
            values[node] = x & (values[b >> 1] ^ (everything if b & 1 else 0))
    return values
