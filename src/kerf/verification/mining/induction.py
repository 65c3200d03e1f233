"""Which claims hold for ever: mutual induction (Houdini; Flanagan and Leino, FME 2001). All are assumed for k cycles; those that a next cycle
breaks are dropped; what is left when none can be broken holds, together. One incremental SAT solver; each of its answers is varied at random in 512 lanes, so that
one call drops many.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kerf.verification.compiled import simulator
from kerf.verification.graph import FREE, Graph
from kerf.verification.lanes import ALL, random_planes
from kerf.verification.mining.propose import LANES_WORDS, run, stimulus
from kerf.verification.model import Model
from kerf.verification.prove import Unsound
from kerf.verification.sat import Unrolling

LONG = 1500  # cycles of the runs that come before a proof
CHECKS = "glucose4"  # the solver that confirms


def unbroken(model: Model, bad: Sequence[int], seed: int, cycles: int = LONG) -> list[int]:
    """Indices of the literals that a longer random run of 512 lanes never makes true."""
    seen = run(model, bad, cycles, seed, keep=False)
    return [i for i, row in enumerate(seen) if not row.any()]


@dataclass
class Houdini:
    """`model.graph` holds the monitors; `bad[i]` is true in a cycle that breaks claim i. `depth`: the k of induction."""

    model: Model
    bad: Sequence[int]
    depth: int
    deadline: float

    def inductive(self, alive: Sequence[int]) -> list[int] | None:
        """The largest part of `alive` that is inductive; None when the time was up first."""
        kept = self._fixed(self._base(), list(alive), self.depth - 1, 0)
        if kept is None:
            return None
        return self._fixed(Unrolling(self.model.graph, None, self.model.held), kept, self.depth, self.depth)

    def _base(self) -> Unrolling:
        return Unrolling(self.model.graph, self.model.initial, self.model.held)

    def _fixed(self, unrolling: Unrolling, alive: list[int], frame: int, assumed: int) -> list[int] | None:
        """Drop until no claim can be broken in any frame up to `frame` (from the start), or in `frame` with all holding in those before."""
        try:
            switch = {i: unrolling.variable() for i in alive} if assumed else {}
            for i, s in switch.items():
                for t in range(assumed):
                    unrolling.solver.add_clause([-s, -unrolling.at(self.bad[i], t)])
            while alive:
                if time.monotonic() > self.deadline:
                    return None
                gone = self._broken(unrolling, alive, switch, range(frame + 1) if not assumed else [frame])
                if not gone:
                    break
                alive = [i for i in alive if i not in gone]
            return alive
        finally:
            unrolling.close()

    def _broken(self, unrolling: Unrolling, alive: list[int], switch: dict[int, int], frames: Sequence[int]) -> set[int]:  # fmt: skip
        some = unrolling.variable()
        at = {(i, t): unrolling.at(self.bad[i], t) for i in alive for t in frames}
        unrolling.solver.add_clause([-some, *at.values()])
        if not unrolling.solve([some, *(switch[i] for i in alive if i in switch)]):
            return set()
        true = unrolling.values()
        gone = {i for (i, _), v in at.items() if v in true or (v < 0 and -v not in true)}
        if not gone:
            raise Unsound("a solver's model breaks no claim, though it was asked for one")
        if switch:
            gone |= self._varied(unrolling, true, alive)
        unrolling.solver.add_clause([-some])
        return gone

    def _varied(self, unrolling: Unrolling, true: set[int], alive: list[int]) -> set[int]:
        """Other claims that states near the solver's break, all holding in the cycles before."""
        graph, words = self.model.graph, LANES_WORDS
        rng = np.random.default_rng(len(alive))
        watch = [self.bad[i] for i in alive]
        lanes = simulator(graph, words, None, watch)
        for node in graph.latches:
            flips = random_planes(rng, 3, words) if self.model.initial.get(node, FREE) == FREE else random_planes(rng, 5, words)  # fmt: skip
            near = np.bitwise_and.reduce(flips, axis=0)
            lanes.set_node(node, near ^ (ALL if unrolling.read(node, 0, true) else np.uint64(0)))
        for node, value in self.model.held.items():
            lanes.set_node(node, value)
        nodes, rows = stimulus(self.model, self.depth + 1, words, len(alive))
        seen = lanes.run(nodes, rows, watch, keep=True)
        holding = ~np.bitwise_or.reduce(seen[:-1], axis=(0, 1))
        hit = (seen[-1] & holding).any(axis=1)
        return {i for i, h in zip(alive, hit) if h}


def confirm(model: Model, bad: Sequence[int], depth: int) -> None:
    """That these hold, by another solver: not broken in the first `depth` cycles, nor after `depth` in which none is. Unsound when they do not."""
    if not bad:
        return
    for initial, frames, assumed in ((model.initial, range(depth), 0), (None, [depth], depth)):
        unrolling = Unrolling(model.graph, initial, model.held, CHECKS)
        try:
            for literal in bad:
                for t in range(assumed):
                    unrolling.require(literal ^ 1, t)
            unrolling.solver.add_clause([unrolling.at(b, t) for b in bad for t in frames])
            if unrolling.solve():
                raise Unsound("mined assertions that were proved are not inductive to another solver")
        finally:
            unrolling.close()


def proved(
    model: Model, graph: Graph, bad: Sequence[int], *, deadline: float, seed: int = 0
) -> tuple[list[int], int]:
    """Indices of the claims that hold, and the depth of their induction. `graph` is the model's with monitors on it."""
    watched = replace(model, graph=graph)
    alive = unbroken(watched, bad, seed + 17)
    for depth in (2, 1):
        kept = Houdini(watched, bad, depth, deadline if depth == 1 else time.monotonic() + (deadline - time.monotonic()) / 2).inductive(alive)  # fmt: skip
        if kept is not None:
            confirm(watched, [bad[i] for i in kept], depth)
            return kept, depth
    return [], 0
