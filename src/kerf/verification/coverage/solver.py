"""A SAT solver over time frames that stops when its time is up."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence

from kerf.verification.graph import Graph
from kerf.verification.sat import Unrolling

ENGINE = "glucose4"  # CaDiCaL as PySAT has it cannot be interrupted

AGAIN_S = 0.02


class Frames(Unrolling):
    """An `Unrolling` with questions about many literals at once, each with a deadline (time.monotonic)."""

    def __init__(
        self, graph: Graph, initial: Mapping[int, int] | None, held: Mapping[int, int] | None = None, engine: str = ENGINE
    ) -> None:  # fmt: skip
        super().__init__(graph, initial, held, engine)

    def some(
        self, literals: Sequence[int], frame: int, deadline: float, assumptions: Sequence[int] = ()
    ) -> bool | None:
        """Whether one of `literals` can be true in `frame`; None when time is up. The question is forgotten afterwards."""
        wanted = []
        for x in literals:  # each may bring the clauses of many gates
            if time.monotonic() > deadline:
                return None
            wanted.append(self.at(x, frame))
        asked = self.variable()
        self.solver.add_clause([-asked, *wanted])
        answer = self.solve_until([asked, *assumptions], deadline)
        self.solver.add_clause([-asked])
        return answer

    def solve_until(self, assumptions: Sequence[int], deadline: float) -> bool | None:
        left = deadline - time.monotonic()
        if left <= 0:
            return None
        done = threading.Event()
        watch = threading.Thread(target=self._stop, args=(left, done), daemon=True)
        watch.start()
        try:
            answer = self.solver.solve_limited(assumptions=list(assumptions), expect_interrupt=True)
        finally:
            done.set()
            watch.join()
            self.solver.clear_interrupt()
        return None if answer is None else bool(answer)

    def _stop(self, seconds: float, done: threading.Event) -> None:
        """Interrupt again and again: a solver that has not begun yet forgets that it was told."""
        done.wait(seconds)
        while not done.wait(AGAIN_S):
            self.solver.interrupt()
