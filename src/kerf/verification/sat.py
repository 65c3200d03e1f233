"""Time frames of a graph as clauses for an incremental SAT solver (CaDiCaL through PySAT; Tseitin's encoding, polarities not used).

A frame is a clock cycle. Frames are encoded as they are asked for, and only the cone of what is asked.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from kerf.verification.graph import FREE, Graph, Node

FIRST, MOST = 200, 5000  # conflicts between two looks at the clock


class Unrolling:
    """`initial`: latch node -> 0, 1 or FREE in frame 0 (None: any state at all, for induction); `held`: input node -> constant value."""

    def __init__(
        self,
        graph: Graph,
        initial: Mapping[int, int] | None,
        held: Mapping[int, int] | None = None,
        solver: str = "cadical195",
    ) -> None:
        from pysat.solvers import Solver

        self.graph, self.initial, self.held = graph, initial, dict(held or {})
        self.solver = Solver(name=solver)
        self._frames: list[dict[int, int]] = []
        self._count = 1
        self.solver.add_clause([1])  # variable 1 is true

    def variable(self) -> int:
        """A fresh variable."""
        self._count += 1
        return self._count

    def at(self, literal: int, frame: int) -> int:
        """The solver's literal for a graph's literal in a frame."""
        while len(self._frames) <= frame:
            self._frames.append({0: -1})
        value = self._node(literal >> 1, frame)
        return -value if literal & 1 else value

    def _node(self, node: int, frame: int) -> int:
        found = self._frames[frame].get(node)
        if found is not None:
            return found
        todo = [(node, frame)]
        graph = self.graph
        while todo:
            n, f = todo[-1]
            known = self._frames[f]
            if n in known:
                todo.pop()
                continue
            kind = graph.kind[n]
            if kind == Node.INPUT:
                known[n] = self._constant(self.held[n]) if n in self.held else self.variable()
            elif kind == Node.LATCH and f == 0:
                value = FREE if self.initial is None else self.initial.get(n, graph.right[n])
                known[n] = self.variable() if value == FREE else self._constant(value)
            elif kind == Node.LATCH:
                source = graph.left[n]
                below = self._frames[f - 1].get(source >> 1)
                if below is None:
                    todo.append((source >> 1, f - 1))
                    continue
                known[n] = -below if source & 1 else below
            else:
                a, b = graph.left[n], graph.right[n]
                x, y = known.get(a >> 1), known.get(b >> 1)
                if x is None or y is None:
                    if x is None:
                        todo.append((a >> 1, f))
                    if y is None:
                        todo.append((b >> 1, f))
                    continue
                known[n] = self._and(-x if a & 1 else x, -y if b & 1 else y)
            todo.pop()
        return self._frames[frame][node]

    @staticmethod
    def _constant(value: int) -> int:
        return 1 if value else -1

    def _and(self, x: int, y: int) -> int:
        if -1 in (x, y) or x == -y:
            return -1
        if x == 1 or x == y:
            return y
        if y == 1:
            return x
        v = self.variable()
        self.solver.add_clause([-v, x])
        self.solver.add_clause([-v, y])
        self.solver.add_clause([v, -x, -y])
        return v

    def require(self, literal: int, frame: int) -> None:
        """A graph's literal holds in a frame, from now on."""
        self.solver.add_clause([self.at(literal, frame)])

    def solve(self, assumptions: Sequence[int] = ()) -> bool:
        """Whether the clauses can be met with these solver literals true."""
        return bool(self.solver.solve(assumptions=list(assumptions)))

    def solve_until(self, assumptions: Sequence[int], deadline: float) -> bool | None:
        """As `solve`; None when `deadline` (of `time.monotonic`) passes first. The solver is asked for so many conflicts at a time as half of what is left is
        enough for, as far as those before tell."""
        conflicts, now = FIRST, time.monotonic()
        while now < deadline:
            self.solver.conf_budget(conflicts)
            found = self.solver.solve_limited(assumptions=list(assumptions))
            if found is not None:
                return bool(found)
            spent, now = time.monotonic() - now, time.monotonic()
            fitting = conflicts * (deadline - now) / 2 / max(spent, 1e-6)
            conflicts = max(1, int(min(2 * conflicts, MOST, fitting)))
        return None

    def values(self) -> set[int]:
        """The model's true variables, after `solve` said yes."""
        return {v for v in self.solver.get_model() if v > 0} | {1}

    def read(self, node: int, frame: int, true: set[int]) -> int:
        """A node's value in a model; 0 where it was never asked for."""
        if frame >= len(self._frames):
            return 0
        variable = self._frames[frame].get(node, -1)
        return int(variable in true) if variable > 0 else int(-variable not in true)

    def close(self) -> None:
        self.solver.delete()
