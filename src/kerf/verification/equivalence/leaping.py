"""Bounded search for a difference that begins in a state that a run has reached, not after power-up: what takes a chosen program to show is a few cycles
away from states that random runs find (simulation and bounded search in turns: Ho et al., "Smart simulation using collaborative formal and simulation
engines", ICCAD 2000).

Both designs are on two rails, so that what one does with an unknown value the other may do too. The state is concrete, which makes most of both constant.
Registers that are not found apart in a cycle are one from there on, and gates of one structure are one variable: what the solver sees is one design, and the
change in the last cycle alone. That is a guide: whoever uses it simulates the run.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kerf.verification.coverage.solver import Frames
from kerf.verification.coverage.stimulus import Drive
from kerf.verification.equivalence.product import (
    Product,
    Rails,
    placed_inputs,
    rails_of,
    same_registers,
    shared_inputs,
    splice_rails,
    unknown_nodes,
)
from kerf.verification.graph import Graph
from kerf.verification.model import Model

EFFORT = 2000  # conflicts of the solver, for one cycle: later cycles may be easier
ALIKE, QUIET = (
    4,
    0.02,
)  # frames in a row that bring as many variables, few of the graph's nodes: nothing happens in this state any more


class _Hashed(Frames):
    """Time frames in which gates of the same inputs are one variable."""

    def __init__(self, graph: Graph, state: Mapping[int, int], held: Mapping[int, int]) -> None:
        super().__init__(graph, state, held)
        self._gates: dict[tuple[int, int], int] = {}

    @property
    def variables(self) -> int:
        return self._count

    def _and(self, x: int, y: int) -> int:
        key = (x, y) if x < y else (y, x)
        found = self._gates.get(key)
        if found is None:
            found = self._gates[key] = super()._and(x, y)
        return found

    def merge(self, latch: int, literal: int, frame: int) -> None:
        """A latch's literal is another literal, in a frame in which nothing reads it yet."""
        value = self.at(literal, frame)
        self._frames[frame][latch >> 1] = -value if latch & 1 else value

    def any_of(self, literals: Sequence[int], frame: int, deadline: float) -> bool | None:
        """As `some`, with EFFORT; where none can be true, all are false from now on."""
        self.solver.conf_budget(EFFORT)
        found = self.some(literals, frame, deadline)
        if found is False:
            for x in literals:
                self.require(x ^ 1, frame)
        return found


@dataclass(frozen=True)
class Pair:
    """A register of gold and the one of its name in gate, on two rails; `apart`: both are known and differ."""

    gold: Rails
    gate: Rails
    apart: int


@dataclass(frozen=True)
class Leap:
    """`rows`: inputs, (cycles, bits), of what was found. `quiet`: it is a state in which nothing happens any more."""

    rows: np.ndarray | None = None
    quiet: bool = False


class Leaper:
    """`pairs[i]` belongs to the i-th of `same_registers`' pairs. `drive` names the inputs, in the order in which runs have them; `held`: those that stay as they are."""

    def __init__(
        self, gold: Model, gate: Model, made: Product, inputs: Sequence[str], held: Mapping[str, int]
    ) -> None:
        self.made, self.graph = made, Graph()
        self._sides, self._same = (gold, gate), same_registers(gold, gate)
        words = shared_inputs(self.graph, gold, gate)
        self._ours, self._theirs = (
            splice_rails(self.graph, side, placed_inputs(side, words), side.initial, unknown_nodes(side))
            for side in (gold, gate)
        )
        self.pairs = [self._pair(self._ours[n], rails_of(self._theirs, m)) for n, m in self._same.items()]
        outputs = [(a, b) for n in gold.outputs for a, b in zip(gold.graph.signals[n].bits, gate.graph.signals[n].bits)]  # fmt: skip
        self.bad = self.graph.any_of(
            self._differs(rails_of(self._ours, a), rails_of(self._theirs, b)) for a, b in outputs
        )
        nodes = {name: tuple(b >> 1 for b in bits) for name, bits in words.items()}
        self.drive = Drive(tuple((n, nodes[n]) for n in inputs), (), ())
        self.held = {n: value for name, value in held.items() for n in nodes[name]}

    def _pair(self, mine: Rails, other: Rails) -> Pair:
        return Pair(mine, other, self._differs(mine, other))

    def _differs(self, mine: Rails, other: Rails) -> int:
        graph = self.graph
        return graph.disjunction(graph.conjunction(mine[0], other[1]), graph.conjunction(mine[1], other[0]))

    def state(self, values: Mapping[int, int]) -> dict[int, int]:
        """From `values` of the product's latches: gate's registers are unknown where gold's of the same name are."""
        at = lambda literal: values[literal >> 1] ^ (literal & 1)  # noqa: E731
        zeros = {d.one: d.zero for d in self.made.doubled}
        gold, gate = self._sides
        found: dict[int, int] = {}
        unknown = set()
        for node in gold.graph.latches:
            one = self.made.gold_nodes[node]
            rails = at(one), at(zeros.get(one, one ^ 1))
            if rails == (0, 0):
                unknown.add(self._same.get(node, 0) >> 1)
            found |= _set(self._ours[node], rails)
        for node in gate.graph.latches:
            value = at(self.made.gate_nodes[node])
            found |= _set(self._theirs[node], (0, 0) if node in unknown else (value, 1 - value))
        return found

    def leap(self, state: Mapping[int, int], asked: Sequence[int], most: int, deadline: float) -> Leap:
        """A run in whose last cycle outputs differ or one of the pairs `asked` (their numbers) is apart, which none is in `state`; within `most` cycles and
        until `deadline` (of `time.monotonic`)."""
        frames, size = _Hashed(self.graph, state, self.held), [0]
        pairs = [self.pairs[i] for i in asked]
        try:
            for t in range(most):
                found = frames.any_of([p.apart for p in pairs], t, deadline)
                if not found:
                    for p in pairs:
                        for mine, other in zip(p.gold, p.gate):
                            frames.merge(other, mine, t)
                    found = frames.any_of([self.bad], t, deadline)
                if found:
                    return Leap(self.drive.solved(frames, t).rows)
                size.append(frames.variables)
                if time.monotonic() > deadline or self._quiet(size):
                    return Leap(None, quiet=self._quiet(size))
        finally:
            frames.close()
        return Leap()

    def _quiet(self, size: Sequence[int]) -> bool:
        grown = set(np.diff(size[-ALIKE - 1 :]).tolist())
        return len(size) > ALIKE and len(grown) == 1 and max(grown) < QUIET * len(self.graph)


def _set(rails: Rails, values: Rails) -> dict[int, int]:
    """Values of the latches that two rails are, or of the one that both are."""
    return {rail >> 1: value ^ (rail & 1) for rail, value in zip(rails, values) if not rail & 1}
