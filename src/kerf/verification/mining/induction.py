"""Which claims hold for ever: mutual induction (Houdini; Flanagan and Leino, FME 2001). All are assumed for k cycles; those that a next cycle
breaks are dropped; what is left when none can be broken holds, together. One incremental SAT solver; each of its answers is varied at random in 512 lanes, so that
one call drops many.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kerf.verification.compiled import simulator
from kerf.verification.graph import Graph
from kerf.verification.lanes import ALL, random_planes
from kerf.verification.mining.propose import LANES_WORDS, run
from kerf.verification.model import Model
from kerf.verification.prove import Unsound
from kerf.verification.random_runs import stimulus
from kerf.verification.sat import Unrolling

DEPTH = 2  # k of the induction
LONG = 1500  # cycles of the runs that come before a proof
SMALL = 8000  # nodes of a graph up to which all claims are taken up at once
TURN = 800  # claims taken up at a time in larger ones
TOLD = 40  # claims told to the solver at a time
CHECKS = "glucose4"  # the solver that confirms


def unbroken(model: Model, bad: Sequence[int], seed: int, cycles: int = LONG) -> list[int]:
    """Indices of the literals that a longer random run of 512 lanes never makes true."""
    seen = run(model, bad, cycles, seed, keep=False)
    return [i for i, row in enumerate(seen) if not row.any()]


@dataclass
class Houdini:
    """`model.graph` holds the monitors; `bad[i]` is true in a cycle that breaks claim i. `depth`: the k of induction. Claims are taken up in turns, each
    on top of what the ones before it proved, so that there is something to show when the time is up."""

    model: Model
    bad: Sequence[int]
    depth: int
    deadline: float
    proved: list[int] = field(default_factory=list)

    def run(self, alive: Sequence[int], turn: int) -> list[int]:
        """The claims of `alive` that are inductive together, or those of the turns of `turn` that could be looked at in time."""
        base = Unrolling(self.model.graph, self.model.initial, self.model.held)
        step = Unrolling(self.model.graph, None, self.model.held)
        try:
            for at in range(0, len(alive), turn):
                started = self._fixed(base, list(alive[at : at + turn]), range(self.depth), 0)
                kept = self._fixed(step, started, range(self.depth, self.depth + 1), self.depth)
                if time.monotonic() > self.deadline:
                    break
                self.proved += kept
                for i in kept:
                    for t in range(self.depth + 1):
                        step.require(self.bad[i] ^ 1, t)
        finally:
            base.close()
            step.close()
        return self.proved

    def _fixed(self, unrolling: Unrolling, alive: list[int], frames: range, assumed: int) -> list[int]:
        """Drop claims until none can be broken in `frames` while all hold in the first `assumed`."""
        before = {i: [unrolling.at(self.bad[i], t) for t in range(assumed)] for i in alive}
        at = {i: [unrolling.at(self.bad[i], t) for t in frames] for i in alive}
        near = (
            _Near(self.model, [self.bad[i] for i in (*alive, *self.proved)], self.depth) if assumed else None
        )
        row = {i: k for k, i in enumerate(alive)}
        told: dict[int, int] = {}
        while alive and time.monotonic() < self.deadline:
            some = unrolling.variable()
            unrolling.solver.add_clause([-some, *(v for i in alive for v in at[i])])
            true = _counterexample(unrolling, some, alive, before, told, self.deadline)
            if true is None:
                break
            gone = {i for i in alive if any(_holds(v, true) for v in at[i])}
            if not gone:
                raise Unsound("a solver's model breaks no claim, though it was asked for one")
            if near:
                state = [unrolling.read(n, 0, true) for n in self.model.graph.latches]
                others = [row[i] for i in alive] + [len(row) + k for k in range(len(self.proved))]
                gone |= {alive[k] for k in near.broken(state, others, len(alive))}
            unrolling.solver.add_clause([-some])
            alive = [i for i in alive if i not in gone]
        return alive


def _counterexample(unrolling: Unrolling, some: int, alive: Sequence[int], before: Mapping[int, Sequence[int]], told: dict[int, int], deadline: float) -> set[int] | None:  # fmt: skip
    """A model in which a claim is broken though all hold before. What they say is told to the solver as its models need it. None where there is none, or
    where `deadline` passes first."""
    while unrolling.solve_until([some, *(told[i] for i in alive if i in told)], deadline):
        true = unrolling.values()
        ignored = [i for i in alive if i not in told and any(_holds(v, true) for v in before[i])]
        if not ignored:
            return true
        for i in ignored[:TOLD]:
            told[i] = unrolling.variable()
            for v in before[i]:
                unrolling.solver.add_clause([-told[i], -v])
    return None


class _Near:
    """Looks for other claims that states near one break, in 512 lanes; word w of them has a register bit in 2^(w + 2) changed."""

    def __init__(self, model: Model, bad: Sequence[int], depth: int) -> None:
        self._model, self._bad, self._depth = model, np.array(bad, np.int64), depth
        self._lanes = simulator(model.graph, LANES_WORDS, None, bad)
        self._rng = np.random.default_rng(len(bad))
        for node, value in model.held.items():
            self._lanes.set_node(node, value)

    def broken(self, state: Sequence[int], rows: Sequence[int], claims: int) -> list[int]:
        """Which of the first `claims` of `rows` a cycle breaks before which all of `rows` held."""
        latches = self._model.graph.latches
        changed = [np.bitwise_and.reduce(random_planes(self._rng, w + 2, len(latches)), axis=0) for w in range(LANES_WORDS)]  # fmt: skip
        start = np.stack(changed, axis=1) ^ np.where(np.array(state, bool), ALL, np.uint64(0))[:, None]
        nodes, inputs = stimulus(self._model, self._depth + 1, LANES_WORDS, int(self._rng.integers(1 << 30)))
        watch = self._bad[list(rows)]
        first = self._lanes.run(
            [*latches, *nodes], np.concatenate([start, inputs[0]])[None], watch, keep=True
        )
        seen = np.concatenate([first, self._lanes.run(nodes, inputs[1:], watch, keep=True)])
        holding = ~np.bitwise_or.reduce(seen[:-1], axis=(0, 1))
        return [int(k) for k in np.flatnonzero((seen[-1, :claims] & holding).any(axis=1))]


def _holds(variable: int, true: set[int]) -> bool:
    return variable in true or (variable < 0 and -variable not in true)


def confirm(model: Model, bad: Sequence[int], depth: int, deadline: float = math.inf) -> bool:
    """That these hold, by another solver: not broken in the first `depth` cycles, nor after `depth` in which none is. Unsound when they do not; False when
    `deadline` (of `time.monotonic`) passes first."""
    if not bad:
        return True
    for initial, frames, assumed in ((model.initial, range(depth), 0), (None, [depth], depth)):
        unrolling = Unrolling(model.graph, initial, model.held, CHECKS)
        try:
            for literal in bad:
                for t in range(assumed):
                    unrolling.require(literal ^ 1, t)
            unrolling.solver.add_clause([unrolling.at(b, t) for b in bad for t in frames])
            broken = unrolling.solve_until([], deadline)
            if broken:
                raise Unsound("mined assertions that were proved are not inductive to another solver")
            if broken is None:
                return False
        finally:
            unrolling.close()
    return True


def proved(
    model: Model, graph: Graph, bad: Sequence[int], *, deadline: float, latest: float, seed: int = 0
) -> list[int]:
    """Indices of the claims that hold, by induction over DEPTH cycles. `graph` is the model's with monitors on it. None where a second solver has not
    confirmed them until `latest`."""
    watched = replace(model, graph=graph)
    alive = unbroken(watched, bad, seed + 17)
    turn = max(len(alive), 1) if len(graph) < SMALL else TURN
    kept = Houdini(watched, bad, DEPTH, deadline).run(alive, turn)
    return kept if confirm(watched, [bad[i] for i in kept], DEPTH, latest) else []
